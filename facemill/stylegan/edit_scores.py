"""What an edit of portraits does: whether it succeeds, and what else it changes."""

from typing import NamedTuple

import cv2
import numpy as np

from facemill.data.classes import Role
from facemill.imaging.colors import REGIONS
from facemill.inference.segmenter import Segmenter
from facemill.latent.evaluate_attributes import DRIFT
from facemill.metrics.generation import overlaps
from facemill.metrics.segmentation import ratio
from facemill.metrics.style import color_errors
from facemill.stylegan.find_edits import outside_share
from facemill.stylegan.region_probes import RegionProbe, seen_size
from facemill.stylegan.seen import Seen, see

SCORES = ("success", "outside", "drift", "mask_iou")
"""The columns of the table of ways to edit."""

Scores = dict[str, float | int | None]


class Edited(NamedTuple):
    """N portraits before and after an edit."""

    before: np.ndarray
    """uint8 RGB (N, H, W, 3)."""
    after: np.ndarray
    """uint8 RGB (N, H, W, 3)."""


class Judge(NamedTuple):
    """Who judges edits: a U-Net and a probe that neither found them nor drew the regions."""

    segmenter: Segmenter
    probe: RegionProbe
    role: Role
    """Of the attribute's part."""

    def shows(self, images: np.ndarray) -> np.ndarray:
        """The probability of the attribute in uint8 RGB images (N, H, W, 3): float (N,); NaN without the part."""
        return self.shown(see(images, self.segmenter))

    def shown(self, seen: Seen) -> np.ndarray:
        """The same of portraits that the U-Net has seen."""
        images = seen_size(seen.images)
        return self.probe.probabilities(images, at_size(seen.masks, images))

    def scores(self, edited: Edited, regions: np.ndarray) -> Scores:
        """What an edit does.

        Args:
            edited: portraits.
            regions: of the edit, bool (N, H, W).

        Returns:
            - `success`: the share of portraits that show the attribute afterwards, of those that did not before.
            - `outside`: the share of the squared change of pixels outside the regions.
            - `drift`: over the other regions of the portrait, the mean of the shares of portraits whose color there
              differs by more than `DRIFT` (CIEDE2000).
            - `mask_iou`: IoU of the masks that the U-Net sees before and after, mean over all classes but the part's.
            - `area`: the pixels of the part afterwards, over those before.

            Values are None where nothing was to be measured.
        """
        before, after = (see(images, self.segmenter) for images in edited)
        first, second = (self.shown(seen) > self.probe.probes.threshold for seen in (before, after))
        counts = overlaps(after.masks, before.masks, len(self.segmenter.classes)).sum(0)
        others = [index for index in range(len(counts)) if index not in self.probe.ids]
        areas = [np.isin(seen.masks, self.probe.ids).sum() for seen in (before, after)]
        return {
            "success": float(second[~first].mean()) if not first.all() else None,
            "outside": outside_share(edited.before, edited.after, regions),
            "drift": color_drift(before.colors, after.colors, self.role),
            "mask_iou": float(np.nanmean(ratio(counts[others]))),
            "area": float(areas[1] / areas[0]) if areas[0] else None,
        }


def color_drift(before: np.ndarray, after: np.ndarray, role: Role) -> float | None:
    """Over regions but the part's, the mean of the shares of portraits whose color drifts; None where none has any.

    Args:
        before: colors of the regions, float32 (N, R, 3), NaN for a region that is not there.
        after: the same afterwards.
        role: of the part.
    """
    errors = color_errors(before, after)
    shares = []
    for (region, roles), column in zip(REGIONS.items(), errors.T, strict=True):
        known = column[~np.isnan(column)]
        if role not in (region, *roles) and len(known):
            shares.append(float((known > DRIFT).mean()))
    return float(np.mean(shares)) if shares else None


def at_size(masks: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Masks, or regions, (N, ...), at the height and width of images (N, H, W, 3)."""
    height, width = images.shape[1:3]
    if masks.shape[1:] == (height, width):
        return masks
    resized = [cv2.resize(m.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST_EXACT) for m in masks]
    return np.stack(resized).astype(masks.dtype)


def seam(edited: Edited, regions: np.ndarray) -> float | None:
    """The mean difference of pixels across the border of the regions, over that before the edit; None without a border.

    Args:
        edited: portraits.
        regions: bool (N, H, W).
    """
    sums = [0.0, 0.0]
    for axis in (1, 2):
        inside = np.moveaxis(regions, axis, 1)
        border = inside[:, 1:] != inside[:, :-1]
        for index, images in enumerate(edited):
            pixels = np.moveaxis(images, axis, 1).astype(np.float64)
            sums[index] += np.abs(np.diff(pixels, axis=1))[border].sum()
    return sums[1] / sums[0] if sums[0] else None
