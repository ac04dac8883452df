"""Ways through latent space: sliders along vectors, random walks, straight lines between portraits."""

from collections.abc import Sequence

import numpy as np

STRIDE = 0.9
"""Angle between two stations of a random walk, in radians: neighbors are alike, the fourth has little of the first."""


def slider(latent: np.ndarray, vector: np.ndarray, places: Sequence[float]) -> np.ndarray:
    """Latents (N, Z) at places along a vector, 0 the latent itself."""
    return latent + np.array(places)[:, None] * vector


def interpolate(start: np.ndarray, end: np.ndarray, steps: int) -> np.ndarray:
    """Latents (steps, Z) on the straight line between two."""
    return slider(start, end - start, np.linspace(0, 1, steps))


def random_walk(latents: np.ndarray, start: np.ndarray, stations: int, between: int, seed: int) -> np.ndarray:
    """A way that stays where latents are: float (1 + stations * between, Z), the first the start.

    It goes along great circles in the space in which the latents (N, Z) have mean 0 and the identity as covariance:
    each station is the one before, turned by `STRIDE` towards a random direction, so that stations are spread as the
    latents are. On the way to the next station there are `between` steps.
    """
    random = np.random.default_rng(seed)
    mean = latents.mean(0)
    values, axes = np.linalg.eigh(np.cov(latents, rowvar=False))
    scale = np.sqrt(values.clip(1e-9))
    here = (start - mean) @ axes / scale
    way = [here]
    for _ in range(stations):
        towards = random.normal(size=here.shape)
        way += [np.cos(a) * here + np.sin(a) * towards for a in np.linspace(0, STRIDE, between + 1)[1:]]
        here = way[-1]
    return np.array(way) * scale @ axes.T + mean
