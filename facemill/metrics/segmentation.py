"""Segmentation metrics: confusion matrix, IoU, boundary IoU, specks, and checkerboard artifacts of the logits.

Masks are class ids, uint8 (height, width). Counts are those of one portrait, for the caller to sum up over any set of
portraits. Pixels that are IGNORE in the ground truth count nowhere.
"""

import math

import cv2
import numpy as np

from facemill.data.classes import IGNORE

BOUNDARY_SHARE = 0.02
"""Width of the boundary band as a share of the diagonal, as Cheng et al. 2021 have it: 4 pixels at 128, 14 at 512."""


def confusion(prediction: np.ndarray, truth: np.ndarray, classes: int) -> np.ndarray:
    """Pixels by true class (rows) and predicted class (columns), of so many classes: int64 (classes, classes)."""
    labelled = truth != IGNORE
    pairs = truth[labelled].astype(np.int64) * classes + prediction[labelled]
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def iou(confusion_matrix: np.ndarray) -> np.ndarray:
    """IoU of each class, float64 (classes,); NaN, which `np.nanmean` leaves out, for a class without any pixel."""
    intersection = np.diagonal(confusion_matrix)
    union = confusion_matrix.sum(0) + confusion_matrix.sum(1) - intersection
    return ratio(np.stack([intersection, union], axis=1))


def ratio(counts: np.ndarray) -> np.ndarray:
    """Intersections over unions, from int64 (classes, 2): float64 (classes,), NaN where the union is empty."""
    intersection, union = counts.T
    return np.divide(intersection, union, out=np.full(len(counts), np.nan), where=union > 0)


def boundary_width(height: int, width: int) -> int:
    """Pixels of the boundary band of a mask: `BOUNDARY_SHARE` of its diagonal, so that figures of all sizes compare."""
    return max(1, round(BOUNDARY_SHARE * math.hypot(height, width)))


def boundary(prediction: np.ndarray, truth: np.ndarray, classes: int) -> np.ndarray:
    """Intersection and union of each class's inner boundary band, `boundary_width` wide: int64 (classes, 2).

    Boundary IoU of Cheng et al. 2021 (https://arxiv.org/abs/2103.16562), equation 2. As in their code the band is the
    mask less its erosion by a square, and the image's edge is a boundary. Pixels within the band's width of an ignored
    pixel are left out, since there the band depends on the missing label.
    """
    distance = boundary_width(*truth.shape)
    square = np.ones((2 * distance + 1, 2 * distance + 1), np.uint8)
    labelled = cv2.erode((truth != IGNORE).astype(np.uint8), square).astype(bool)

    def band(mask: np.ndarray) -> np.ndarray:
        inner = cv2.erode(mask.astype(np.uint8), square, borderType=cv2.BORDER_CONSTANT, borderValue=0)
        return mask & (inner == 0) & labelled

    bands = [(band(truth == c), band(prediction == c)) for c in range(classes)]
    return np.array([[np.count_nonzero(t & p), np.count_nonzero(t | p)] for t, p in bands], np.int64)


def specks(prediction: np.ndarray, truth: np.ndarray) -> int:
    """Number of 8-connected components of a predicted class that share no pixel with that class in the ground truth.

    A component that reaches into ignored pixels does not count.
    """
    stray = 0
    for c in np.unique(prediction):
        labels, components = cv2.connectedComponents((prediction == c).astype(np.uint8), connectivity=8)
        matched = np.unique(components[(truth == c) | (truth == IGNORE)])
        stray += labels - 1 - np.count_nonzero(matched)  # label 0 is the rest of the image
    return int(stray)


def checkerboard(logits: np.ndarray) -> float:
    """The `checkerboard_excess` of logits, float (classes, H, W), less their mean, on which no softmax depends."""
    return checkerboard_excess(logits - logits.mean(0, dtype=np.float64))


def checkerboard_excess(planes: np.ndarray) -> float:
    """Spectral energy of planes, float (planes, H, W), at periods 2 and 4 against its neighborhood.

    A transposed convolution of stride 2 spreads its input with zeros between, then convolves: Y(f) = X(2f) W(f). X(2f)
    repeats the input's strong low frequencies around f = 1/2, and where W(1/2) is not zero they stay, as a pattern of
    period 2 over even regions (Odena et al. 2016, https://doi.org/10.23915/distill.00003). The stage before
    leaves the same around f = 1/4. Enlarging by repetition has its zeros at these very frequencies, so that blocky
    edges alone do not count.

    Per direction, E(f) is the energy of all lines of all planes at frequency f, under a Hann window. The excess at
    f = 1/2 and 1/4 is the mean of E within two bins of f (the reach of the window) over its geometric mean in the
    bins beyond, up to size / 16 away (geometric, since spectra fall by powers of f). The result is the mean of the
    four excesses: 1 is no checkerboard.
    """
    excesses = []
    for lines in (planes.astype(np.float64), planes.swapaxes(1, 2).astype(np.float64)):
        size = lines.shape[-1]
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
        even = lines - lines.mean(-1, keepdims=True)
        energy = (np.abs(np.fft.rfft(even * window)) ** 2).sum((0, 1))
        energy += 1e-12 * energy.sum() + np.finfo(float).tiny  # rounding of the sums is no pattern
        bins = np.arange(len(energy))
        for period in (2, 4):
            away = np.abs(bins - size // period)
            around = energy[(away > 2) & (away <= max(4, size // 16))]
            excesses.append(energy[away <= 2].mean() / np.exp(np.log(around).mean()))
    return float(np.mean(excesses))
