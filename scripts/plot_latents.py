"""Shows latents against a standard normal."""

from pathlib import Path

import numpy as np

from facemill.data.shards import read_rows
from facemill.files import write_json
from facemill.latent.posterior import ks_from_normal, plot_posterior, posterior_draws
from facemill.workflow.command import run


def main(*, latents: list[Path], seed: int, metrics: Path, picture: Path) -> None:
    """Draws from the encoder's Gaussian of each portrait, writes how far each dimension is from N(0, 1), and a picture
    of the first dimensions.

    Metrics: of each dimension `mean`, `deviation` and `kolmogorov_smirnov` distance; of the last the median over
    dimensions and the worst; how many portraits.
    """
    rows = list(read_rows(latents))
    means, spreads = (np.array([row[column] for row in rows]) for column in ("latent", "std"))
    draws = posterior_draws(means, spreads, seed)
    figures = ks_from_normal(draws)
    distances = figures["kolmogorov_smirnov"]
    median, worst = float(np.median(distances)), max(distances)
    summed = {"images": len(rows), "median_kolmogorov_smirnov": median, "worst_kolmogorov_smirnov": worst}
    write_json(metrics, summed | figures)
    plot_posterior(picture, draws)


if __name__ == "__main__":
    run(main)
