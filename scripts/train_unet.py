"""Trains one U-Net version."""

from pathlib import Path
from typing import Annotated

from facemill.config.segment import UnetTrainConfig
from facemill.segment.train_unet import train_unet
from facemill.workflow.command import Settings, run


def main(
    *,
    version: str,
    settings: Annotated[UnetTrainConfig, Settings],
    size: int,
    seed: int,
    train: Path,
    validation: Path | None = None,
    model: Path,
    curves: Path,
) -> None:
    """Trains one U-Net version (v1, v2, v3) on augmented portraits; the same command again resumes a killed run."""
    watched = [validation] if validation else []
    train_unet(version, settings, size=size, seed=seed, train=[train], validation=watched, model=model, curves=curves)


if __name__ == "__main__":
    run(main, gpu=True)
