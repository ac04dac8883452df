"""What a U-Net sees of portraits, and how near two sets of them are: masks, colors of regions, pixels."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from facemill.data.batching import batched
from facemill.data.classes import ClassTable
from facemill.imaging.colors import REGIONS
from facemill.inference.segmenter import Segmenter
from facemill.metrics.generation import overlaps
from facemill.metrics.segmentation import ratio
from facemill.metrics.style import color_errors, colors_of
from facemill.stylegan.masks import resized

BATCH = 64


class Seen(NamedTuple):
    """N portraits, and what a U-Net sees of them."""

    images: np.ndarray
    """uint8 RGB (N, H, W, 3)."""
    masks: np.ndarray
    """Class ids, uint8 (N, S, ...), at the U-Net's height; (0,) without a U-Net."""
    colors: np.ndarray
    """CIELAB of the `REGIONS`, float32 (N, R, 3), NaN for a region that is not there; (0,) without a U-Net."""

    def rolled(self) -> "Seen":
        """The portraits, each in the place of the one before it."""
        return Seen(*(np.roll(array, 1, axis=0) for array in self))


def see(images: np.ndarray, segmenter: Segmenter | None) -> Seen:
    """What a U-Net sees of uint8 RGB images (N, H, W, 3), enlarged to its height."""
    if segmenter is None:
        return Seen(images, np.empty(0, np.uint8), np.empty(0, np.float32))
    masks, colors = [], []
    for batch in batched(images, BATCH):
        large = resized(np.stack(batch), segmenter.size)
        masks.append(segmenter.masks(large))
        colors.append(colors_of(large, masks[-1], segmenter.classes))
    return Seen(images, np.concatenate(masks), np.concatenate(colors))


def differences(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The mean absolute difference (L1) of pixels, uint8 (N, H, W, 3), in [-1, 1]: float64 (N,)."""
    return np.abs(a.astype(np.float32) - b).mean((1, 2, 3), dtype=np.float64) / 127.5


def nearness(a: Seen, b: Seen, classes: ClassTable | None) -> dict[str, Any]:
    """How near portraits are to others.

    Returns:
        - `l1`: see `differences`, and `l1_std`, its standard deviation.
        - `mask_iou`: of the masks that the U-Net sees, mean over classes; `iou` by class.
        - `colors`: CIEDE2000 by region, mean over portraits of which both have it.

        Values are None where nothing was to be measured; without `classes` there is `l1` alone.
    """
    l1 = differences(a.images, b.images)
    figures: dict[str, Any] = {"l1": float(l1.mean()), "l1_std": float(l1.std())}
    if classes is None:
        return figures
    ious = ratio(overlaps(a.masks, b.masks, len(classes)).sum(0))
    figures["mask_iou"] = float(np.nanmean(ious))
    figures["iou"] = dict(zip(classes.names, map(_known, ious), strict=True))
    figures["colors"] = dict(zip(REGIONS, map(_known, mean_errors(color_errors(a.colors, b.colors))), strict=True))
    return figures


def mean_errors(errors: np.ndarray) -> list[float]:
    """The mean of each column of (N, R), NaN left out; NaN for one of NaN alone."""
    return [float(column[~np.isnan(column)].mean()) if (~np.isnan(column)).any() else np.nan for column in errors.T]


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def change_by_class(before: Seen, after: np.ndarray, classes: ClassTable) -> dict[str, float | None]:
    """The share of the squared change of pixels in each class of the masks before; None without any change.

    Args:
        before: N portraits.
        after: these, changed, uint8 RGB (N, H, W, 3).
        classes: the class table of the masks.
    """
    squares = np.square(after.astype(np.float32) - before.images).sum(3)
    size = squares.shape[2:0:-1]
    small = np.stack([_nearest(mask, size) for mask in before.masks])
    sums = np.array([squares[small == index].sum(dtype=np.float64) for index in range(len(classes))])
    return dict(zip(classes.names, [_known(share) for share in sums / (sums.sum() or np.nan)], strict=True))


def _nearest(mask: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """A mask at a width and height."""
    rows = np.arange(size[1]) * mask.shape[0] // size[1]
    columns = np.arange(size[0]) * mask.shape[1] // size[0]
    return mask[np.ix_(rows, columns)]
