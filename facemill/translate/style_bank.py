"""Styles of a collection's portraits, of which the nearest in color is taken, and what is left of the difference."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from facemill.data.classes import ClassTable
from facemill.imaging.colors import REGIONS, region_ids
from facemill.metrics.style import color_errors, colors_of

WEIGHTS = {"hair": 1.0, "skin": 1.0, "clothes": 0.3, "background": 0.2}
"""How much the colors of regions count when a style is chosen. Set by hand, not measured: hair and skin lead, so that
little of them is left to be recolored; clothes and background decide between styles that are alike there."""

RECOLORED = ("hair", "skin")
"""Regions that get the wanted color in the end."""

LIGHTEST = 98
"""Percentile of the other collection's skins that is as light as any: the lightest of 400 photos, overexposed, lies 11
L* above it, that of 400 anime portraits 1."""

UNKNOWN = 30.0
"""CIEDE2000 to a portrait whose region has no color: the mean between two of 400 anime portraits is 31 of hair, 30 of
clothes, 32 of backgrounds."""


class StyleBank(NamedTuple):
    """Style codes of portraits, with the portraits' colors."""

    codes: np.ndarray
    """float32 (N, z_dim); z_dim is 0 for a painter that reads no styles."""
    colors: np.ndarray
    """CIELAB of `REGIONS`, float32 (N, R, 3); NaN for regions of too few pixels."""

    def nearest(self, colors: np.ndarray) -> np.ndarray:
        """The code, float32 (z_dim,), of the portrait whose colors are nearest to these, (R, 3) with NaN.

        The distance is the mean CIEDE2000 of the regions that have a color, by `WEIGHTS`.
        """
        weights = np.array([WEIGHTS.get(name, 0.0) for name in REGIONS]) * ~np.isnan(colors[:, 0])
        errors = np.nan_to_num(color_errors(self.colors, np.nan_to_num(colors)), nan=UNKNOWN)
        chosen: np.ndarray = self.codes[(errors @ weights).argmin()]
        return chosen

    def wanted(self, colors: np.ndarray, mean_colors: np.ndarray) -> np.ndarray:
        """The colors that a portrait should have in this collection, float32 (R, 3).

        All are its own but for the skin's: a drawing's usual skin is lighter than a photo's, which has shadows. The
        skin keeps its difference in L* from its collection's usual one, up to the lightest of this collection. Its
        hue turns as far to that of this collection as its lightness has come near the usual one here, so that dark
        skin keeps its own and does not turn gray.

        Args:
            colors: of the portrait, CIELAB of `REGIONS`, (R, 3) with NaN.
            mean_colors: the means of its collection, (R, 3).
        """
        skin, result = list(REGIONS).index("skin"), colors.copy()
        if np.isnan(self.colors[:, skin]).all():
            return result
        here, there = np.nanmean(self.colors[:, skin], axis=0), mean_colors[skin]
        lightness = colors[skin, 0] + here[0] - there[0]
        lightness = np.minimum(lightness, np.nanpercentile(self.colors[:, skin, 0], LIGHTEST))
        way = here[0] - there[0]
        turned = np.clip((lightness - there[0]) / way, 0, 1) if abs(way) > 1 else 1.0
        result[skin] = lightness, *(colors[skin, 1:] + turned * (here - there)[1:])
        return result


def lab_of(image: np.ndarray, mask: np.ndarray, classes: ClassTable) -> np.ndarray:
    """The colors of `REGIONS` of one portrait, float32 (R, 3), NaN for those of too few pixels; as `colors_of`."""
    colors: np.ndarray = colors_of(image[None], mask[None], classes)[0]
    return colors


def recolored(image: np.ndarray, mask: np.ndarray, classes: ClassTable, wanted: np.ndarray) -> np.ndarray:
    """A portrait whose hair and skin have the wanted median colors: what is left is added to all their pixels.

    They differ as far as pixels leave what a screen shows, where they are clipped.

    Args:
        image: uint8 RGB (H, W, 3).
        mask: class ids, uint8 (H, W).
        classes: the mask's class table.
        wanted: CIELAB of `REGIONS`, (R, 3); a region without a color there, or in the image, stays.
    """
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    missing = dict(zip(REGIONS, wanted - lab_of(image, mask, classes), strict=True))
    for region in RECOLORED:
        if not np.isnan(missing[region]).any():
            lab += _soft(mask, region_ids(classes)[region]) * missing[region]
    rgb = cv2.cvtColor(lab.astype(np.float32), cv2.COLOR_LAB2RGB)
    return np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8)


def _soft(mask: np.ndarray, ids: Sequence[int]) -> np.ndarray:
    """Which pixels are of classes, with soft borders: float32 (H, W, 1) in [0, 1]."""
    return cv2.GaussianBlur(np.isin(mask, ids).astype(np.float32), (3, 3), 0)[..., None]
