"""Latents against the standard normal that the VAE's divergence pulls them to."""

from pathlib import Path

import numpy as np
from scipy.stats import kstest, norm

from facemill.imaging.figures import plot

SHOWN = 50
"""Dimensions in the picture, the first ones."""

COLUMNS = 10


def posterior_draws(means: np.ndarray, spreads: np.ndarray, seed: int) -> np.ndarray:
    """A draw from each q(z|x), float (N, Z): together the aggregate posterior, which should be N(0, 1)."""
    return means + spreads * np.random.default_rng(seed).normal(size=means.shape)


def ks_from_normal(draws: np.ndarray) -> dict[str, list[float]]:
    """Of each dimension of draws (N, Z): mean, standard deviation, and Kolmogorov-Smirnov distance from N(0, 1)."""
    return {
        "mean": [float(value) for value in draws.mean(0)],
        "deviation": [float(value) for value in draws.std(0)],
        "kolmogorov_smirnov": [float(kstest(column, "norm").statistic) for column in draws.T],
    }


def plot_posterior(path: Path, draws: np.ndarray) -> None:
    """Draws a histogram of each of the first `SHOWN` dimensions, and over it the density of N(0, 1)."""
    shown = draws[:, :SHOWN]
    rows = -(-shown.shape[1] // COLUMNS)
    bins = np.linspace(-4, 4, 33)
    grid = np.linspace(-4, 4, 100)
    with plot(path, 16, 1.3 * rows + 0.6, nrows=rows, ncols=COLUMNS, sharex=True, sharey=True, squeeze=False) as (
        figure,
        axes,
    ):
        for place, axis in enumerate(axes.flat):
            axis.axis("off")
            if place < shown.shape[1]:
                axis.hist(shown[:, place].clip(-4, 4), bins, density=True, color="#9db6d6")
                axis.plot(grid, norm.pdf(grid), color="#2f5d9b", linewidth=1)
                axis.set_title(f"z{place}", fontsize=8, pad=1)
        figure.suptitle(f"The first {shown.shape[1]} dimensions of {len(draws)} latents (bars) and N(0, 1) (line)")
