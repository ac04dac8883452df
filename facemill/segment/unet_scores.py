"""Scores of a U-Net on test portraits, with bootstrap intervals, and of its gain over another U-Net."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from facemill.data.batching import batched
from facemill.data.classes import ClassTable
from facemill.inference.segmenter import BATCH, Segmenter
from facemill.metrics import segmentation as metrics

RESAMPLES = 1000
"""Bootstrap samples of the test portraits, with replacement, for an interval."""


@dataclass
class UnetScores:
    """Scores of a U-Net on N test portraits, by portrait, so that the scores of any sample can be summed."""

    classes: ClassTable
    masks: list[np.ndarray]
    """Predicted masks, uint8 (S, S)."""
    confusion: np.ndarray
    """int64 (N, classes, classes)"""
    boundary: np.ndarray
    """int64 (N, classes, 2): intersections and unions of the boundary bands"""
    specks: np.ndarray
    """int64 (N,)"""
    checkerboard: np.ndarray
    """float64 (N,)"""

    def summary(self) -> dict[str, Any]:
        """The numbers of `comparison.json`: IoUs from pixels summed over the portraits, means of the other scores.

        The IoU of a class that no portrait has, in truth or prediction, is null, and so is the boundary IoU where every
        boundary is near ignored pixels. `miou_std` is the standard deviation
        over portraits of the mean IoU within each. `interval` holds 95% bootstrap intervals of `miou` and of each
        class's IoU; `confusion` for each true class the shares of its pixels by predicted class.
        """
        names = self.classes.names
        total = self.confusion.sum(0)
        class_iou = metrics.iou(total)
        portrait_miou = [np.nanmean(metrics.iou(portrait)) for portrait in self.confusion]
        low, high = self.intervals().tolist()
        boundary_iou = metrics.ratio(self.boundary.sum(0))
        return {
            "miou": float(np.nanmean(class_iou)),
            "iou": {name: None if np.isnan(v) else float(v) for name, v in zip(names, class_iou, strict=True)},
            "boundary_iou": None if np.isnan(boundary_iou).all() else float(np.nanmean(boundary_iou)),
            "specks": float(self.specks.mean()),
            "checkerboard": float(self.checkerboard.mean()),
            "confusion": dict(zip(names, row_shares(total).round(5).tolist(), strict=True)),
            "test_images": len(self.masks),
            "miou_std": float(np.std(portrait_miou)),
            "interval": {
                name: None if np.isnan(ends).any() else list(ends)
                for name, *ends in zip(["miou", *names], low, high, strict=True)
            },
        }

    def intervals(self) -> np.ndarray:
        """95% percentile intervals of the mean IoU and of each class's IoU: float64 (2, 1 + classes).

        Portraits are resampled: a bootstrap over pixels would take neighbors for independent (Efron 1979,
        https://doi.org/10.1214/aos/1176344552). The seed is the same for all versions, and so are the samples.
        """
        class_iou = self._resampled_iou()
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # classes that no portrait has
            return np.nanpercentile(np.column_stack([np.nanmean(class_iou, 1), class_iou]), [2.5, 97.5], axis=0)

    def _resampled_iou(self) -> np.ndarray:
        """IoU of each class on each bootstrap sample: float64 (RESAMPLES, classes)."""
        n = len(self.confusion)
        counts = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), RESAMPLES)
        return np.array([metrics.iou(sample) for sample in np.einsum("rn,nij->rij", counts, self.confusion)])

    def gain_over(self, other: "UnetScores") -> dict[str, Any]:
        """The difference of the mean IoU to another version's on the same portraits, with a 95% interval.

        Both versions are scored on the same bootstrap samples, so that the interval is far narrower than those of the
        two mean IoUs: portraits that are hard for one version are hard for the other.
        """
        miou = np.nanmean(metrics.iou(self.confusion.sum(0)))
        other_miou = np.nanmean(metrics.iou(other.confusion.sum(0)))
        resampled_gains = np.nanmean(self._resampled_iou(), 1) - np.nanmean(other._resampled_iou(), 1)
        return {
            "miou": float(miou - other_miou),
            "interval": np.percentile(resampled_gains, [2.5, 97.5]).tolist(),
        }


def evaluate_unet(segmenter: Segmenter, images: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> UnetScores:
    """Scores a U-Net on uint8 RGB images (S, S, 3) by their true masks, uint8 (S, S), none ignored completely.

    The checkerboard is that of the logits without test-time augmentation (TTA), all else with it.
    """
    masks = list(segmenter.masks(images))
    pairs = list(zip(masks, truths, strict=True))
    classes = len(segmenter.classes)
    return UnetScores(
        classes=segmenter.classes,
        masks=masks,
        confusion=np.stack([metrics.confusion(mask, truth, classes) for mask, truth in pairs]),
        boundary=np.stack([metrics.boundary(mask, truth, classes) for mask, truth in pairs]),
        specks=np.array([metrics.specks(mask, truth) for mask, truth in pairs]),
        checkerboard=np.array([metrics.checkerboard(portrait) for portrait in _plain_logits(segmenter, images)]),
    )


def _plain_logits(segmenter: Segmenter, images: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """The decoder's own logits, float32 (classes, S, S): TTA cancels patterns of period 2 along x."""
    for batch in batched(images, BATCH):
        yield from segmenter.logits(batch, flip_tta=False).cpu().numpy()


def row_shares(confusion: np.ndarray) -> np.ndarray:
    """A confusion matrix as shares of each true class's pixels: float64 (classes, classes), rows of 0 for no pixels."""
    return confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
