"""Colors of a portrait's regions in CIELAB (D65), and the difference between two colors."""

import cv2
import numpy as np
from skimage.color import deltaE_ciede2000

from facemill.data.classes import ClassTable, Role

REGIONS: dict[str, tuple[Role, ...]] = {
    "hair": ("hair",),
    "skin": ("skin", "face"),
    "eye": ("eye",),
    "mouth": ("mouth",),
    "clothes": ("clothes",),
    "background": ("background",),
}
"""Regions that have a color, each with the roles of its classes."""

MIN_PIXELS = 30
"""A region with fewer pixels has no color."""

Lab = np.ndarray
"""A color: float32 (3,), L* from 0 to 100, a* and b*."""


def region_ids(classes: ClassTable) -> dict[str, tuple[int, ...]]:
    """The class ids of each of `REGIONS`; empty for a region whose roles no class has."""
    return {name: classes.role_ids(*roles) for name, roles in REGIONS.items()}


def region_colors(image: np.ndarray, mask: np.ndarray, classes: ClassTable) -> dict[str, Lab | None]:
    """The median CIELAB color of each of `REGIONS`; None for a region of fewer than `MIN_PIXELS`.

    The region's outermost pixels, outline or mixed with the neighbor, do not count where enough others remain.

    Args:
        image: uint8 RGB (H, W, 3).
        mask: class ids, uint8 (H, W).
        classes: the mask's class table.
    """
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return {name: _median(lab, np.isin(mask, ids)) for name, ids in region_ids(classes).items()}


def _median(lab: np.ndarray, region: np.ndarray) -> Lab | None:
    inner = cv2.erode(region.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    for pixels in (inner, region):
        if np.count_nonzero(pixels) >= MIN_PIXELS:
            return np.median(lab[pixels], axis=0)
    return None


def difference(a: Lab, b: Lab) -> float:
    """CIEDE2000 between two colors: 1 is just visible, 10 plain to see."""
    return float(deltaE_ciede2000(a, b))
