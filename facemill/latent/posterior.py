"""The aggregate posterior of latents against the standard normal prior, to which the KL divergence pulls it."""

from pathlib import Path

import numpy as np
from scipy.stats import kstest, norm

from facemill.imaging.figures import plot

PLOTTED_DIMENSIONS = 50
COLUMNS = 10


def sample_posterior(means: np.ndarray, stds: np.ndarray, seed: int) -> np.ndarray:
    """A sample of each q(z|x), float (N, Z): together a sample of the aggregate posterior, which should be N(0, 1)."""
    return means + stds * np.random.default_rng(seed).normal(size=means.shape)


def ks_from_normal(samples: np.ndarray) -> dict[str, list[float]]:
    """Mean, deviation and Kolmogorov-Smirnov distance from N(0, 1) of each dimension of samples (N, Z)."""
    return {
        "mean": [float(value) for value in samples.mean(0)],
        "deviation": [float(value) for value in samples.std(0)],
        "kolmogorov_smirnov": [float(kstest(column, "norm").statistic) for column in samples.T],
    }


def plot_posterior(path: Path, samples: np.ndarray) -> None:
    """Plots a histogram of each of the first `PLOTTED_DIMENSIONS` dimensions, and over it the density of N(0, 1)."""
    plotted = samples[:, :PLOTTED_DIMENSIONS]
    rows = -(-plotted.shape[1] // COLUMNS)
    bins = np.linspace(-4, 4, 33)
    grid = np.linspace(-4, 4, 100)
    with plot(path, 16, 1.3 * rows + 0.6, nrows=rows, ncols=COLUMNS, sharex=True, sharey=True, squeeze=False) as (
        figure,
        axes,
    ):
        for dimension, axis in enumerate(axes.flat):
            axis.axis("off")
            if dimension < plotted.shape[1]:
                axis.hist(plotted[:, dimension].clip(-4, 4), bins, density=True, color="#9db6d6")
                axis.plot(grid, norm.pdf(grid), color="#2f5d9b", linewidth=1)
                axis.set_title(f"z{dimension}", fontsize=8, pad=1)
        figure.suptitle(f"The first {plotted.shape[1]} dimensions of {len(samples)} latents (bars) and N(0, 1) (line)")
