"""What is measured of portraits, generated or real: a U-Net's segmentation and features, colors and noise."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from facemill.data.batching import Columns
from facemill.inference.segmenter import Segmenter
from facemill.metrics.noise import checkerboards, high_frequencies
from facemill.metrics.segmentation import confusion, ratio
from facemill.metrics.style import colors_of, lpips_diversity
from facemill.networks.device import autocast, device
from facemill.networks.inception import INCEPTION, inception, inception_features
from facemill.networks.unet import Unet
from facemill.networks.vgg import Lpips

FEATURES = "features at stride 16 of the evaluation U-Net's encoder (mean over the image)"
"""Name of the `evaluator_features`, for the metrics."""


@torch.inference_mode()
def evaluator_features(unet: Unet, images: np.ndarray) -> np.ndarray:
    """The `FEATURES`, float32 (N, 96), of uint8 RGB images (N, H, W, 3) in a U-Net's encoder."""
    batch = torch.from_numpy(images).permute(0, 3, 1, 2)
    with autocast():
        stride_16 = unet.encode(batch.to(device()).float() / 255)[-2]
    return stride_16.float().mean((2, 3)).cpu().numpy()


def overlaps(predictions: np.ndarray, masks: np.ndarray, classes: int) -> np.ndarray:
    """Intersection and union of each class in predicted and given masks, uint8 (N, H, W): int64 (N, classes, 2)."""
    counts = np.array([confusion(p, mask, classes) for p, mask in zip(predictions, masks, strict=True)])
    intersection = np.diagonal(counts, axis1=1, axis2=2)
    return np.stack([intersection, counts.sum(1) + counts.sum(2) - intersection], axis=2)


@dataclass
class Measures(Columns):
    """What was measured of portraits of N masks, K of each: the portraits themselves need not stay in memory.

    Attributes:
        overlaps: of each mask with those that the evaluation U-Net predicts, int64 (N, K, classes, 2): see `overlaps`.
        colors: of the regions, float32 (N, K, R, 3): see `colors_of`.
        noise: of the regions, float32 (N, K, R, 2): see `high_frequencies`.
        checkerboard: float64 (N, K): see `checkerboards`.
        features: float32 (N, K, 96): see `evaluator_features`.
        inception: FID's features, float32 (N, K, 2048); (N, K, 0) without its weights.
        lpips: the `lpips_diversity` of each mask's portraits, float64 (N,); (0,) without its weights, and for K = 1.
    """

    overlaps: np.ndarray
    colors: np.ndarray
    noise: np.ndarray
    checkerboard: np.ndarray
    features: np.ndarray
    inception: np.ndarray
    lpips: np.ndarray

    def ious(self) -> np.ndarray:
        """Re-segmentation IoU of each class over the pixels of all portraits, float64; NaN for one without any."""
        return ratio(self.overlaps.sum((0, 1)))

    def mious(self) -> np.ndarray:
        """Re-segmentation mIoU of each portrait, float64 (N, K)."""
        return np.array([[np.nanmean(ratio(counts)) for counts in of_mask] for of_mask in self.overlaps])

    def frechet_features(self) -> np.ndarray:
        """The features for `feature_distances`: FID's, or without its weights those of the evaluation U-Net."""
        return self.inception if self.inception.shape[-1] else self.features


class Evaluator:
    """The networks that measure portraits: a U-Net, and LPIPS and FID's Inception where weights are given.

    Attributes:
        frechet_features: name of the features for `feature_distances`.

    Args:
        segmenter: the U-Net; it should not have labelled the training set.
        vgg_weights: of LPIPS, or None.
        inception_weights: of FID's Inception, or None.
    """

    def __init__(self, segmenter: Segmenter, vgg_weights: Path | None, inception_weights: Path | None) -> None:
        self.segmenter = segmenter
        self.lpips = Lpips(vgg_weights).to(device()) if vgg_weights else None
        self.inception = inception(inception_weights).to(device()) if inception_weights else None
        self.frechet_features = INCEPTION if self.inception else FEATURES

    def measure(self, images: np.ndarray, masks: np.ndarray) -> Measures:
        """What is measured of a batch of portraits.

        Args:
            images: K portraits of each of N masks, mask by mask, uint8 RGB (N * K, H, W, 3).
            masks: class ids, uint8 (N, H, W).
        """
        count, styles = len(masks), len(images) // len(masks)
        classes, repeated = self.segmenter.classes, masks.repeat(styles, axis=0)

        def by_mask(array: np.ndarray) -> np.ndarray:
            return array.reshape(count, styles, *array.shape[1:])

        lpips = []
        if self.lpips and styles > 1:
            lpips = [lpips_diversity(self.lpips, of_mask) for of_mask in by_mask(images)]
        return Measures(
            by_mask(overlaps(self.segmenter.masks(images), repeated, len(classes))),
            by_mask(colors_of(images, repeated, classes)),
            by_mask(high_frequencies(images, repeated, classes)),
            by_mask(checkerboards(images)),
            by_mask(evaluator_features(self.segmenter.unet, images)),
            by_mask(self._inception_features(images)),
            np.array(lpips),
        )

    def features_for_frechet(self, images: np.ndarray) -> np.ndarray:
        """The features for `feature_distances`, float32 (N, D), of uint8 RGB images (N, H, W, 3)."""
        return self._inception_features(images) if self.inception else evaluator_features(self.segmenter.unet, images)

    def _inception_features(self, images: np.ndarray) -> np.ndarray:
        if self.inception is None:
            return np.empty((len(images), 0), np.float32)
        return inception_features(self.inception, images).astype(np.float32)
