"""How masks are laid out, in numbers, and how far they lie from one another."""

import numpy as np

from facemill.metrics.copying import Nearest

PER_CLASS = 5
"""Numbers of a class in a layout."""
COMPARED_HEIGHT = 64
"""Height in pixels at which masks are compared pixel by pixel, at most."""
BLOCK = 1024
"""Masks of the training to which distances are computed at once."""


def layouts(masks: np.ndarray, classes: int) -> np.ndarray:
    """The layouts of masks, uint8 (N, H, W): float64 (N, classes * PER_CLASS), class by class.

    Of each class the share of the pixels, the center's row and column, and the deviations of rows and columns, all as
    shares of the mask's sides; the last four are NaN for a class that a mask lacks.
    """
    sides = [(np.arange(side) + 0.5) / side for side in masks.shape[1:]]
    rows, columns = np.meshgrid(*sides, indexing="ij")
    powers = np.stack([np.ones_like(rows), rows, columns, rows**2, columns**2], -1).reshape(-1, PER_CLASS)
    of_classes = []
    for index in range(classes):
        sums = (masks == index).reshape(len(masks), -1) @ powers
        count = np.where(sums[:, :1] > 0, sums[:, :1], np.nan)
        means, squares = sums[:, 1:3] / count, sums[:, 3:] / count
        of_classes.append(np.hstack([sums[:, :1] / len(powers), means, np.sqrt((squares - means**2).clip(0))]))
    return np.concatenate(of_classes, 1)


def standardized(features: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Layouts (N, D) in deviations from those of a reference (M, D); NaN is its mean, 0."""
    known = ~np.isnan(reference).all(0)
    mean, deviation = np.zeros(len(known)), np.ones(len(known))
    mean[known], deviation[known] = np.nanmean(reference[:, known], 0), np.nanstd(reference[:, known], 0)
    return np.nan_to_num((features - mean) / np.where(deviation > 1e-6, deviation, 1))


def mask_distances(a: np.ndarray, b: np.ndarray, classes: int) -> np.ndarray:
    """1 - mIoU of masks, uint8 (N, H, W), with others, (M, H, W): float64 (N, M), of the classes that either has."""
    total, present = np.zeros((2, len(a), len(b)))
    for index in range(classes):
        x, y = ((masks == index).reshape(len(masks), -1).astype(np.float32) for masks in (a, b))
        intersection = x @ y.T
        union = x.sum(1)[:, None] + y.sum(1) - intersection
        total += intersection / np.maximum(union, 1)
        present += union > 0
    return 1 - total / present


def nearest_masks(masks: np.ndarray, training: np.ndarray, classes: int) -> Nearest:
    """The nearest of the training's masks, (M, H, W), or of their mirror images, to masks, uint8 (N, H, W)."""
    step = -(-masks.shape[1] // COMPARED_HEIGHT)
    masks, training = masks[:, ::step, ::step], training[:, ::step, ::step]
    parts = []
    for start in range(0, len(training), BLOCK):
        block = training[start : start + BLOCK]
        both = np.stack([mask_distances(masks, side, classes) for side in (block, block[:, :, ::-1])])
        least = both.min(0)
        indices = least.argmin(1)
        rows = np.arange(len(masks))
        parts.append((least[rows, indices], start + indices, both[1, rows, indices] < both[0, rows, indices]))
    distances, indices, mirrored = (np.stack(column) for column in zip(*parts, strict=True))
    closest, rows = distances.argmin(0), np.arange(len(masks))
    return Nearest(distances[closest, rows], indices[closest, rows], mirrored[closest, rows])
