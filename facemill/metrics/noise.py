"""Noise in generated portraits: the energy of high frequencies inside regions, and checkerboards."""

import cv2
import numpy as np

from facemill.data.classes import ClassTable
from facemill.imaging.colors import MIN_PIXELS, REGIONS, region_ids
from facemill.metrics.segmentation import checkerboard_excess

_SIGMA, _REACH = 1.0, 2
"""Deviation of the Gaussian that is subtracted, and its reach, in pixels."""
ROUNDING = (100 / 255) ** 2 / 12
"""Energy that rounding to 8 bits leaves, some: real portraits that are flat have none, and no ratio to it."""


def high_frequencies(images: np.ndarray, masks: np.ndarray, classes: ClassTable) -> np.ndarray:
    """Mean and median of the squares of lightness L* less its Gaussian blur, inside the `REGIONS`: float32 (N, R, 2).

    Lines and patterns make the mean, what lies between them the median. Pixels that the blur mixes with another
    region's do not count, so that borders are no noise; NaN for a region with fewer than `MIN_PIXELS` others.

    Args:
        images: uint8 RGB (N, H, W, 3).
        masks: class ids, uint8 (N, H, W).
        classes: the masks' class table.
    """
    square = np.ones((2 * _REACH + 1, 2 * _REACH + 1), np.uint8)
    energies = np.full((len(images), len(REGIONS), 2), np.nan, np.float32)
    for row, lightness, mask in zip(energies, lightness_of(images), masks, strict=True):
        energy = (lightness - cv2.GaussianBlur(lightness, square.shape, _SIGMA)) ** 2
        for region, ids in enumerate(region_ids(classes).values()):
            inside = cv2.erode(np.isin(mask, ids).astype(np.uint8), square).astype(bool)
            if np.count_nonzero(inside) >= MIN_PIXELS:
                row[region] = energy[inside].mean(), np.median(energy[inside])
    return energies


def lightness_of(images: np.ndarray) -> np.ndarray:
    """CIELAB's L* of uint8 RGB images (N, H, W, 3): float32 (N, H, W), 0 to 100."""
    pixels = images.astype(np.float32) / 255
    return np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2LAB)[..., 0] for image in pixels])


def checkerboards(images: np.ndarray) -> np.ndarray:
    """The `checkerboard_excess` of the lightness of uint8 RGB images (N, H, W, 3): float64 (N,); 1 is none."""
    return np.array([checkerboard_excess(lightness[None]) for lightness in lightness_of(images)])


def noise_figures(painted: np.ndarray, real: np.ndarray) -> dict[str, dict[str, float]]:
    """Energies of high frequencies by region, over those of the real portraits at the same places.

    Args:
        painted: of portraits of N masks in K styles each, (N, K, R, 2), see `high_frequencies`.
        real: of the masks' real portraits, (N, 1, R, 2).

    Returns:
        For each region that any mask has `texture` and `noise`, ratios of the mean portrait's mean and median: texture
        below 1 lacks lines and patterns, noise above 1 is where the real portraits are smooth. Less than `ROUNDING`
        in these counts as that.
    """
    figures = {}
    for region, name in enumerate(REGIONS):
        if not np.isnan(real[:, :, region]).all():
            of_painted, of_real = (np.nanmean(of[:, :, region], (0, 1), np.float64) for of in (painted, real))
            texture, noise = of_painted / of_real.clip(ROUNDING)
            figures[name] = {"texture": float(texture), "noise": float(noise)}
    return figures
