"""Whether a mask is one of a portrait: one face, eyes, one mouth, hair and a body, as large as real ones, in place."""

import json
import math
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

COUNTS = {"face": (1, 1), "eye": (1, 2), "mouth": (1, 1), "hair": (1, math.inf), "body": (1, math.inf)}
"""The least and the greatest number of components of each part."""

BELOW = (("mouth", "eye"), ("body", "face"))
"""Parts whose center lies below another's."""

CENTRAL = 0.98
"""Share of the real portraits with a part whose areas of it are accepted."""

SPECK = 0.5
"""A component of less than this share of its part's largest does not count: a second mouth is as large as the first.

The pieces into which a U-Net breaks a mouth or a face are smaller, mostly.
"""


class Limits(NamedTuple):
    """The least and the largest area of each part, float64 (parts,) each."""

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
    """The areas of each part that the central `CENTRAL` of real masks with this part have.

    Args:
        measures: `measure_mask` of real portraits' masks, (N, 3 * parts).

    Returns:
        0 and 0 for a part that no mask has.
    """
    tail = (1 - CENTRAL) / 2
    present = [areas[areas > 0] for areas in np.split(measures, 3, axis=1)[0].T]
    ends = [np.quantile(a, [tail, 1 - tail], method="inverted_cdf") if len(a) else np.zeros(2) for a in present]
    return Limits(*np.stack(ends, axis=1))


def write_limits(path: Path, limits: Limits, classes: ClassTable) -> None:
    """Writes JSON: by part the least and the largest `area`, a share, and the same of `components` (null: any number).

    The numbers are those of `COUNTS`, for the reader.
    """
    parts = zip(part_ids(classes), np.stack(limits, axis=1).tolist(), strict=True)
    counts = {part: [least, None if math.isinf(most) else most] for part, (least, most) in COUNTS.items()}
    write_json(path, {part: {"area": area, "components": counts[part]} for part, area in parts})


def read_limits(path: Path) -> Limits:
    """The limits that `write_limits` wrote."""
    return Limits(*np.array([part["area"] for part in json.loads(path.read_text()).values()], np.float64).T)


def are_valid(measures: np.ndarray, limits: Limits, classes: ClassTable) -> np.ndarray:
    """Which masks have each part as often as `COUNTS` has it, in areas within limits, in their order: bool (N,).

    Args:
        measures: of the masks, (N, 3 * parts).
        limits: of real portraits.
        classes: the masks' class table.
    """
    names = list(part_ids(classes))
    areas, components, heights = np.split(measures, 3, axis=1)
    least, most = np.transpose([COUNTS[name] for name in names])
    valid: np.ndarray = np.all((areas >= limits.lower) & (areas <= limits.upper), axis=1)
    valid &= np.all((components >= least) & (components <= most), axis=1)
    for low, high in BELOW:
        if low in names and high in names:
            valid &= heights[:, names.index(low)] > heights[:, names.index(high)]
    return valid
