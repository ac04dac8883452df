"""Trains the VAE."""

from pathlib import Path
from typing import Annotated

from facemill.config.synthesize import VaeConfig
from facemill.synthesize.train_vae import train_vae
from facemill.workflow.command import Settings, run


def main(
    *,
    settings: Annotated[VaeConfig, Settings],
    seed: int,
    holdout: float,
    portraits: list[Path],
    pseudo_labels: list[Path] | None = None,
    model: Path,
    curves: Path,
) -> None:
    """Trains the VAE whose encoder reads style codes; the same command again resumes a killed run."""
    train_vae(
        settings,
        seed=seed,
        holdout=holdout,
        portraits=portraits,
        pseudo_labels=pseudo_labels or [],
        model=model,
        curves=curves,
    )


if __name__ == "__main__":
    run(main, gpu=True)
