"""Distances between two sets of features: the Frechet distance of FID, and KID."""

import math

import numpy as np

FID_IMAGES = 10_000
"""Least number of images in each set for which Inception's Frechet distance is called FID: with fewer it is far from
that of many, and with no more than its 2,048 features their covariance is singular."""
BLOCK = 1000
"""Rows of a kernel matrix that are in memory."""


def feature_distances(features: np.ndarray, real: np.ndarray, are_inception: bool) -> dict[str, float]:
    """The distances of portraits to real ones by their features.

    Args:
        features: of N masks' portraits in K styles each, (N, K, D).
        real: features of real portraits, (M, D).
        are_inception: whether these are FID's features, by which KID and FID are defined.

    Returns:
        `frechet_distance`, of one portrait of each mask, so that it compares with that of N other portraits; with
        Inception's features `kid`, the mean over styles, and `fid` of all where there are `FID_IMAGES` in both sets.
    """
    everything = features.reshape(-1, features.shape[-1])
    distances = {"frechet_distance": frechet_distance(features[:, 0], real)}
    if are_inception:
        of_styles = [kid(features[:, k], real) for k in range(features.shape[1])]
        distances["kid"] = float(np.mean(of_styles))  # portraits of one mask are not independent
        if min(len(everything), len(real)) >= FID_IMAGES:
            distances["fid"] = frechet_distance(everything, real)
    return distances


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Frechet distance of the Gaussians fitted to two sets of features (N, D) (Dowson and Landau 1982, eq. 4).

    The fewer the features, the larger it is: compare distances of equal numbers. tr((A B)^1/2) is the sum of the
    square roots of the eigenvalues of A B, which are real and not negative.
    """
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(cov_a @ cov_b).real.clip(0)).sum()
    between = ((a.mean(0, np.float64) - b.mean(0, np.float64)) ** 2).sum()
    return float(between + np.trace(cov_a) + np.trace(cov_b) - 2 * roots)


def kid(a: np.ndarray, b: np.ndarray) -> float:
    """Kernel Inception distance of two sets of features (N, D), at least two of each: unbiased, so below 0 at times.

    The squared maximum mean discrepancy with the kernel (x.y / D + 1)^3, by its unbiased estimator (Binkowski et al.
    2018, https://arxiv.org/abs/1801.01401, equation 4), over all pairs.
    """
    return _mean_within(a) + _mean_within(b) - 2 * _kernel_sum(a, b) / (len(a) * len(b))


def _mean_within(x: np.ndarray) -> float:
    """The kernel's mean over all pairs of different rows."""
    diagonal = ((np.square(x, dtype=np.float64).mean(1) + 1) ** 3).sum()
    return (_kernel_sum(x, x) - float(diagonal)) / (len(x) * (len(x) - 1))


def _kernel_sum(x: np.ndarray, y: np.ndarray) -> float:
    """The kernel's sum over all pairs of a row of each."""
    total, columns = 0.0, y.T.astype(np.float64)
    for rows in np.array_split(x.astype(np.float64), math.ceil(len(x) / BLOCK)):
        base = rows @ columns / x.shape[1] + 1
        total += float((base * base * base).sum())
    return total
