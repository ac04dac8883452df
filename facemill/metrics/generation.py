"""Metrics of generated portraits: Frechet distance, mask fidelity, style errors by color, and diversity."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.distance import pdist

from facemill.data.classes import ClassTable
from facemill.imaging.colors import REGIONS, difference, region_colors
from facemill.metrics.segmentation import confusion, iou
from facemill.networks.device import autocast, device
from facemill.networks.unet import Unet
from facemill.networks.vae import to_signed_range
from facemill.networks.vgg import Lpips

BATCH = 16
FEATURES = "MobileNetV2 features at stride 16 of the evaluation U-Net (96 channels, mean over the image)"
"""Name of the `evaluator_features`, for the metrics."""

ColorErrors = dict[str, float | None]
"""A portrait's CIEDE2000 by region; None for a region without a color to compare."""


@dataclass
class Sample:
    """A generated portrait, with the indices of its mask and of its style reference in a list of portraits.

    Attributes:
        image: uint8 RGB (H, W, 3).
        mask: index of the portrait whose mask it was generated from.
        style: index of the portrait that gave the style; None for a random style or none.
    """

    image: np.ndarray
    mask: int
    style: int | None


@torch.inference_mode()
def evaluator_features(unet: Unet, images: np.ndarray) -> np.ndarray:
    """The `FEATURES`, float64 (N, 96), of uint8 RGB images (N, H, W, 3) in a U-Net's encoder."""
    features = []
    for batch in torch.from_numpy(images).permute(0, 3, 1, 2).split(BATCH):
        with autocast():
            stride_16 = unet.encode(batch.to(device()).float() / 255)[-2]
        features.append(stride_16.float().mean((2, 3)).cpu().double().numpy())
    return np.concatenate(features)


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Frechet distance of the Gaussians fitted to two sets of features (N, D) (Dowson and Landau 1982, eq. 4).

    tr((A B)^1/2) is the sum of the square roots of the eigenvalues of A B, which are real and not negative.
    """
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(cov_a @ cov_b).real.clip(0)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * roots)


def resegmentation_iou(predictions: np.ndarray, masks: np.ndarray, classes: int) -> np.ndarray:
    """IoU of each class between masks and what a U-Net predicts on the portraits generated from them (mask fidelity).

    Args:
        predictions: class ids, uint8 (N, H, W).
        masks: class ids, uint8 (N, H, W).
        classes: number of classes.

    Returns:
        float64 (classes,), over the pixels of all portraits; NaN for a class without any.
    """
    counts = [confusion(prediction, mask, classes) for prediction, mask in zip(predictions, masks, strict=True)]
    return iou(np.sum(counts, axis=0))


def color_errors(
    samples: Sequence[Sample], portraits: np.ndarray, masks: np.ndarray, classes: ClassTable
) -> list[ColorErrors]:
    """CIEDE2000 between each region's median color in a sample and in its style reference.

    Args:
        samples: the generated portraits.
        portraits: the portraits that `samples` index, uint8 RGB (N, H, W, 3).
        masks: their masks of class ids, uint8 (N, H, W).
        classes: the masks' class table.

    Returns:
        For each sample its error by region; None without a reference, and where either has too few pixels.
    """
    references = [region_colors(image, mask, classes) for image, mask in zip(portraits, masks, strict=True)]
    errors = []
    for sample in samples:
        reference = {} if sample.style is None else references[sample.style]
        row: ColorErrors = {}
        for region, color in region_colors(sample.image, masks[sample.mask], classes).items():
            wanted = reference.get(region)
            row[region] = None if color is None or wanted is None else difference(color, wanted)
        errors.append(row)
    return errors


def style_errors(errors: Sequence[ColorErrors]) -> dict[str, float]:
    """`style_<region>_color_error`, the mean over samples, and `..._std`, of the regions that have errors."""
    means, stds = {}, {}
    for region in REGIONS:
        values = [error for row in errors if (error := row[region]) is not None]
        if values:
            means[f"style_{region}_color_error"] = float(np.mean(values))
            stds[f"style_{region}_color_error_std"] = float(np.std(values))
    return means | stds


@torch.inference_mode()
def lpips_diversity(lpips: Lpips, samples: Sequence[Sample]) -> float:
    """The mean LPIPS between samples of the same mask in different styles, mean over masks."""
    by_mask: dict[int, list[np.ndarray]] = {}
    for sample in samples:
        by_mask.setdefault(sample.mask, []).append(sample.image)
    distances = []
    for images in by_mask.values():
        pixels = to_signed_range(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)).to(device())
        a, b = torch.triu_indices(len(pixels), len(pixels), 1)
        distances.append(lpips(pixels[a], pixels[b]).mean())
    return float(torch.stack(distances).mean())


def diversity(features: np.ndarray) -> float:
    """The mean Euclidean distance between all pairs of features (N, D): 0 for a collapsed generator."""
    return float(pdist(features).mean())


def mask_style_pairs(count: int, styles_per_mask: int, seed: int) -> Iterator[tuple[int, int]]:
    """Pairs (mask, style) of portraits' indices below `count`; no mask gets its portrait's style if count > 1."""
    order = np.random.default_rng(seed).permutation(count)
    for shift in range(1, styles_per_mask + 1):
        for position in range(count):
            yield int(order[position]), int(order[(position + shift) % count])


def evenly_spaced(count: int, most: int) -> list[int]:
    """At most `most` of the indices below `count`, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist()
