"""Trains GauGAN."""

from pathlib import Path
from typing import Annotated

from facemill.config.synthesize import GauganConfig
from facemill.synthesize.train_gaugan import train_gaugan
from facemill.workflow.command import Settings, run


def main(
    *,
    settings: Annotated[GauganConfig, Settings],
    size: int,
    seed: int,
    holdout: float,
    vae: Path,
    portraits: list[Path],
    pseudo_labels: list[Path],
    gate: Path,
    model: Path,
    style_encoder: Path,
    curves: Path,
) -> None:
    """Trains the generator that paints portraits from masks; the same command again resumes a killed run."""
    train_gaugan(
        settings,
        size=size,
        seed=seed,
        holdout=holdout,
        vae=vae,
        portraits=portraits,
        pseudo_labels=pseudo_labels,
        gate=gate,
        model=model,
        style_encoder=style_encoder,
        curves=curves,
    )


if __name__ == "__main__":
    run(main, gpu=True)
