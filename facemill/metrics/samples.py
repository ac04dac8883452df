"""How generated portraits lie among real ones, by their features: precision and recall, and KID with its deviation."""

import numpy as np

from facemill.metrics.distances import kid

NEIGHBORS = 3
"""Neighbors whose farthest gives a portrait's radius (Kynkaanniemi et al. 2019, section 3, k = 3)."""

SUBSETS, SUBSET = 10, 1000
"""Subsets by which KID's deviation is estimated, and the most portraits of each."""


def distances_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Euclidean distances of features (N, D) to others (M, D): float64 (N, M), by one matrix product."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    center = b.mean(0)  # far from the origin the product would lose the digits that are wanted
    a, b = a - center, b - center
    squares = np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2 * (a @ b.T)
    return np.sqrt(squares.clip(0, out=squares), out=squares)


def covered(points: np.ndarray, others: np.ndarray, neighbors: int = NEIGHBORS) -> np.ndarray:
    """Which of the points (N, D) lie in the manifold of others (M, D): bool (N,).

    The manifold is the union of balls around the others that reach to their `neighbors`-th nearest among themselves
    (Kynkaanniemi et al. 2019, https://arxiv.org/abs/1904.06991, equation 1).
    """
    among = distances_between(others, others)
    np.fill_diagonal(among, 0)
    rank = min(neighbors, len(others) - 1)
    radii = np.partition(among, rank, axis=1)[:, rank]
    return np.any(distances_between(points, others) <= radii, axis=1)


def precision_recall(generated: np.ndarray, real: np.ndarray) -> dict[str, float]:
    """`precision`, the share of generated portraits in the real ones' manifold, and `recall`, the reverse.

    Kynkaanniemi et al. 2019 (https://arxiv.org/abs/1904.06991), equation 2, of features (N, D) and (M, D).
    """
    return {
        "precision": float(covered(generated, real).mean()),
        "recall": float(covered(real, generated).mean()),
    }


def kid_deviation(a: np.ndarray, b: np.ndarray) -> float:
    """The standard deviation of KID over `SUBSETS` pairs of random subsets of features (N, D) and (M, D).

    As Binkowski et al. 2018 (https://arxiv.org/abs/1801.01401), section 4, have it, with half of a smaller set.
    """
    random = np.random.default_rng(0)
    size = max(min(SUBSET, len(a) // 2, len(b) // 2), 2)
    draws = [[x[random.permutation(len(x))[:size]] for x in (a, b)] for _ in range(SUBSETS)]
    return float(np.std([kid(*pair) for pair in draws], ddof=1))


def total_variation(a: np.ndarray, b: np.ndarray) -> float:
    """Half the sum of differences between two distributions (K,): 0 for equal ones, 1 for those apart."""
    return float(np.abs(a - b).sum() / 2)


def shares(names: np.ndarray, count: int) -> np.ndarray:
    """The share of each of `count` names in indices (N,), and last of those below 0, which have none: (count + 1,)."""
    return np.bincount(np.where(names < 0, count, names), minlength=count + 1) / len(names)


def interval(share: float, count: int, draws: int = 1000) -> list[float]:
    """The central 95% of a share of so many portraits, over bootstrap samples of them: lower and upper end."""
    means = np.random.default_rng(0).binomial(count, share, draws) / count
    return [float(end) for end in np.quantile(means, [0.025, 0.975])]
