"""What a conditional generator can be asked for: names of a group such as hair_color, or tags that are there or not."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from facemill.data.shards import read_rows
from facemill.errors import UserError
from facemill.latent.attributes import GROUPS
from facemill.log import log


@dataclass(frozen=True)
class Conditions:
    """Conditions, and those of each portrait.

    Attributes:
        names: by group the names that can be asked for; a tag is a group of its own name alone.
        slots: by portrait's id the index of its name in each group; the number of names for none of them.
    """

    names: dict[str, list[str]]
    slots: dict[str, tuple[int, ...]]

    @property
    def none(self) -> tuple[int, ...]:
        """The slots of a portrait without any name."""
        return tuple(len(names) for names in self.names.values())


def read_conditions(
    tags: Sequence[Path], groups: Sequence[str], min_images: int, learned: Callable[[str], bool]
) -> Conditions:
    """The conditions of portraits, from their tags; what can be asked for is what those of the training have.

    Args:
        tags: shards of tags.
        groups: groups of names, and tags.
        min_images: names of fewer portraits of the training count as none, which is logged.
        learned: whether a portrait, by its id, is of the training.

    Raises:
        UserError: In a group the portraits of the training are of fewer than two kinds.
    """
    if not groups:
        return Conditions({}, {})
    columns = ["tags", *(group for group in groups if group in GROUPS)]
    named = {row["id"]: [_name(row, group) for group in groups] for row in read_rows(list(tags), ["id", *columns])}
    of_training = [names for row_id, names in named.items() if learned(row_id)]
    names: dict[str, list[str]] = {}
    for index, group in enumerate(groups):
        counts = Counter(row[index] for row in of_training if row[index] is not None)
        names[group] = sorted(name for name, count in counts.items() if name and count >= min_images)
        few = {name: count for name, count in counts.items() if name not in names[group]}
        if few:
            log.warning("stylegan: fewer than %d portraits, so counted as none: %s", min_images, _counts(few))
        kinds = {row[index] if row[index] in names[group] else None for row in of_training}
        if len(kinds) < 2:
            raise UserError(
                f"stylegan.conditions: found {group!r}, of which the portraits of the training have one kind "
                f"({_counts(counts)}); accepted: groups and tags with two or more, of at least {min_images} portraits "
                "each (attributes.min_images)"
            )
    index_of = {group: {name: i for i, name in enumerate(listed)} for group, listed in names.items()}
    slots = {
        row_id: tuple(index_of[g].get(name or "", len(names[g])) for g, name in zip(groups, row, strict=True))
        for row_id, row in named.items()
    }
    return Conditions(names, slots)


def _name(row: Mapping, group: str) -> str | None:
    """The name that a row of tags has of a group, or the tag itself; None without."""
    if group in GROUPS:
        name: str | None = row[group]
        return name
    return group if group in row["tags"] else None


def _counts(counts: Mapping[str | None, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=str)) or "none has any"


def combination_shares(slots: Sequence[tuple[int, ...]]) -> tuple[Tensor, Tensor]:
    """The distinct combinations of slots, int64 (C, groups), and the share of each, float32 (C,)."""
    counts = sorted(Counter(slots).items())
    combinations = torch.tensor([combination for combination, _ in counts])
    return combinations, torch.tensor([count for _, count in counts], dtype=torch.float32) / len(slots)
