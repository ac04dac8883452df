"""Attributes of portraits: exclusive groups and booleans, as labels, and as control columns of a regression."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from facemill.errors import UserError
from facemill.imaging.colors import REGIONS

GROUPS = {"hair_color": "hair", "skin_color": "skin", "eye_color": "eye"}
"""Exclusive groups, of whose names a portrait has at most one, and the region whose color they name."""


@dataclass(frozen=True)
class AttributeLabels:
    """The attributes of N portraits."""

    groups: dict[str, Sequence[str | None]] = field(default_factory=dict)
    """For each exclusive group a name or None of each portrait."""
    booleans: dict[str, np.ndarray] = field(default_factory=dict)
    """For each boolean whether each portrait has it: bool (N,)."""

    def subset(self, selected: np.ndarray) -> "AttributeLabels":
        """The labels of the portraits where `selected`, bool (N,), is true."""
        groups: dict[str, Sequence[str | None]] = {
            group: [name for name, is_selected in zip(names, selected, strict=True) if is_selected]
            for group, names in self.groups.items()
        }
        return AttributeLabels(groups, {name: present[selected] for name, present in self.booleans.items()})


def attribute_labels(rows: Sequence[dict], groups: Collection[str], booleans: Collection[str]) -> AttributeLabels:
    """The labels in rows of tags; a name that is both a group's and a boolean counts as a boolean alone."""
    present = {name: np.array([name in row["tags"] for row in rows], bool) for name in booleans}
    names: dict[str, Sequence[str | None]] = {
        group: [None if row[group] in booleans else row[group] for row in rows] for group in groups
    }
    return AttributeLabels(names, present)


def control_columns(rows: Sequence[dict], preserve: Sequence[str], booleans: Collection[str]) -> dict[str, np.ndarray]:
    """The attributes that vectors shall preserve, in numbers: the colors (N, 3) of regions, booleans (N, 1).

    A region stands under the name of the group that names its color, where there is one; regions without any color
    are left out. Raises `UserError` for a name that is neither a region nor one of the booleans.
    """
    if unknown := [name for name in preserve if name not in REGIONS and name not in booleans]:
        accepted = ", ".join([*REGIONS, *booleans])
        raise UserError(f"attributes.preserve: found {unknown[0]!r}; accepted: a region or a boolean: {accepted}")
    group_of = {region: group for group, region in GROUPS.items()}
    columns = {}
    for name in preserve:
        if name in REGIONS:
            colors = [[np.nan] * 3 if row[name] is None else row[name] for row in rows]
            columns[group_of.get(name, name)] = np.array(colors, float)
        else:
            columns[name] = np.array([[name in row["tags"]] for row in rows], float)
    return {name: values for name, values in columns.items() if not np.isnan(values).all()}
