"""Whether generated portraits are copies of those of the training: their distances against held-out portraits'."""

from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from facemill.imaging.phash import DISTANCE
from facemill.metrics.samples import distances_between

BLOCK = 4096
"""Portraits of the training to which distances are computed at once."""


class Nearest(NamedTuple):
    """The nearest training portraits of N portraits."""

    distances: np.ndarray
    """float64 (N,)."""
    indices: np.ndarray
    """Of the training portrait, int (N,)."""
    mirrored: np.ndarray
    """Whether its mirror image is the nearer one, bool (N,)."""


def nearest(points: np.ndarray, training: np.ndarray, mirrored: np.ndarray) -> Nearest:
    """The nearest of the training's features (M, D), or of their mirror images' (M, D), to points (N, D); M >= 1."""
    rows = np.arange(len(points))
    nearest_of_all = Nearest(np.full(len(points), np.inf), np.zeros(len(points), int), np.zeros(len(points), bool))
    for start in range(0, len(training), BLOCK):
        both = [distances_between(points, features[start : start + BLOCK]) for features in (training, mirrored)]
        least = np.minimum(*both)
        indices = least.argmin(1)
        distances = least[rows, indices]
        nearer = distances < nearest_of_all.distances
        of_block = distances, start + indices, both[1][rows, indices] < both[0][rows, indices]
        pairs = zip(of_block, nearest_of_all, strict=True)
        nearest_of_all = Nearest(*(np.where(nearer, new, old) for new, old in pairs))
    return nearest_of_all


def copying_z(generated: np.ndarray, held_out: np.ndarray) -> float:
    """Mann-Whitney z of distances to the nearest training portrait, of generated (N,) and held-out ones (M,).

    0: as far from the training as unseen portraits are. Below -3: nearer than chance has it, so copies (Meehan et al.
    2020, https://arxiv.org/abs/2004.05675, section 3.1, with one cell). Equal distances share their rank.
    """
    n, m = len(generated), len(held_out)
    ranks = rankdata(np.concatenate([generated, held_out]))
    u = ranks[:n].sum() - n * (n + 1) / 2
    _, ties = np.unique(ranks, return_counts=True)
    total = n + m
    variance = n * m / 12 * (total + 1 - (ties**3 - ties).sum() / (total * (total - 1)))
    return float((u - n * m / 2) / np.sqrt(variance)) if variance > 0 else 0.0


def near_hashes(hashes: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Which perceptual hashes, uint64 (N,), are those of near-duplicates of the training's, (M,): bool (N,)."""
    return np.array([(np.bitwise_count(own ^ training) <= DISTANCE).any() for own in hashes], bool)
