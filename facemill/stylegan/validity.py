"""Whether a mask is one of a portrait: parts of a size and number that real portraits' masks have, in their places."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from facemill.data.classes import ClassTable, Role
from facemill.files import write_json

PARTS: dict[str, tuple[Role, ...]] = {
    "face": ("face",),
    "eye": ("eye",),
    "mouth": ("mouth",),
    "hair": ("hair",),
    "body": ("skin", "clothes"),
}
"""Parts of a portrait, each with the roles of its classes."""

BELOW = (("mouth", "eye"), ("body", "face"))
"""Parts whose center lies below another's."""

CENTRAL = 0.98
"""Share of the real portraits whose areas, and whose numbers of components, are those that are accepted."""

SPECK = 0.2
"""A component of less than this share of its part's largest does not count: a second mouth is larger, noise is not."""


class Limits(NamedTuple):
    """The least and the largest area and number of components of each part, float64 (2 * parts,) each."""

    lower: np.ndarray
    upper: np.ndarray


def part_ids(classes: ClassTable) -> dict[str, tuple[int, ...]]:
    """The class ids of each of `PARTS` that has any."""
    ids = {part: classes.role_ids(*roles) for part, roles in PARTS.items()}
    return {part: of_part for part, of_part in ids.items() if of_part}


def measure_mask(mask: np.ndarray, classes: ClassTable) -> np.ndarray:
    """The parts of a mask, float64 (3 * parts,): areas as shares, then numbers of components, then centers' heights.

    Args:
        mask: class ids, uint8 (H, W).
        classes: the mask's class table.

    Returns:
        Heights are shares of the image's, from its top; NaN for a part that the mask lacks.
    """
    areas, components, heights = [], [], []
    for ids in part_ids(classes).values():
        pixels = np.isin(mask, ids).astype(np.uint8)
        _, _, statistics, centers = cv2.connectedComponentsWithStats(pixels, connectivity=8)
        sizes = statistics[1:, cv2.CC_STAT_AREA]
        areas.append(sizes.sum() / mask.size)
        components.append(np.count_nonzero(sizes >= SPECK * sizes.max(initial=0)))
        heights.append((centers[1:, 1] @ sizes + sizes.sum() / 2) / sizes.sum() / len(mask) if len(sizes) else np.nan)
    return np.array([*areas, *components, *heights])


def mask_limits(measures: np.ndarray) -> Limits:
    """What the central `CENTRAL` of real portraits' masks have, of their `measure_mask`, (N, 3 * parts)."""
    ranged = measures[:, : measures.shape[1] // 3 * 2]
    tail = (1 - CENTRAL) / 2
    lower = np.quantile(ranged, tail, axis=0, method="inverted_cdf")
    return Limits(lower, np.quantile(ranged, 1 - tail, axis=0, method="inverted_cdf"))


def write_limits(path: Path, limits: Limits, classes: ClassTable) -> None:
    """Writes limits as JSON: by part the least and the largest `area`, a share, and number of `components`."""
    areas, components = np.stack(limits, axis=1).reshape(2, -1, 2).tolist()
    parts = zip(part_ids(classes), areas, components, strict=True)
    write_json(path, {part: {"area": area, "components": count} for part, area, count in parts})


def read_limits(path: Path) -> Limits:
    """The limits that `write_limits` wrote."""
    parts = json.loads(path.read_text()).values()
    return Limits(*np.array([part[key] for key in ("area", "components") for part in parts], np.float64).T)


def are_valid(measures: np.ndarray, limits: Limits, classes: ClassTable) -> np.ndarray:
    """Which masks have parts within limits, and in their order from top to bottom: bool (N,).

    Args:
        measures: of the masks, (N, 3 * parts).
        limits: of real portraits.
        classes: the masks' class table.
    """
    names: Sequence[str] = list(part_ids(classes))
    ranged, heights = np.split(measures, [len(names) * 2], axis=1)
    valid: np.ndarray = np.all((ranged >= limits.lower) & (ranged <= limits.upper), axis=1)
    for low, high in BELOW:
        if low in names and high in names:
            valid &= ~(heights[:, names.index(low)] <= heights[:, names.index(high)])  # a missing part is not misplaced
    return valid
