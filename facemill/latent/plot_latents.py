"""Comparison of the latents with a standard normal."""

from pathlib import Path

import numpy as np

from facemill.data.shards import read_rows
from facemill.files import write_json
from facemill.latent.posterior import ks_from_normal, plot_posterior, sample_posterior


def plot_latents(*, latents: list[Path], seed: int, metrics: Path, picture: Path) -> None:
    """Samples each portrait's q(z|x), and compares each dimension with N(0, 1), in numbers and in histograms.

    Args:
        latents: shards of latents.
        seed: of the samples.
        metrics: the JSON to write: of each dimension `mean`, `deviation` and `kolmogorov_smirnov` distance; the
            median and the largest distance; the number of portraits.
        picture: the histograms of the first dimensions to write.
    """
    rows = list(read_rows(latents))
    means, stds = (np.array([row[column] for row in rows]) for column in ("latent", "std"))
    samples = sample_posterior(means, stds, seed)
    by_dimension = ks_from_normal(samples)
    distances = by_dimension["kolmogorov_smirnov"]
    summary = {
        "images": len(rows),
        "median_kolmogorov_smirnov": float(np.median(distances)),
        "worst_kolmogorov_smirnov": max(distances),
    }
    write_json(metrics, summary | by_dimension)
    plot_posterior(picture, samples)
