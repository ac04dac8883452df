"""Trains GauGAN."""

import shutil
from pathlib import Path
from typing import Annotated

from facemill.command import Settings, run
from facemill.config import Gaugan
from facemill.files import whole
from facemill.synthesize.train_gaugan import train_gaugan


def main(
    *,
    settings: Annotated[Gaugan, Settings],
    size: int,
    seed: int,
    holdout: float,
    vae: Path,
    portraits: list[Path],
    pseudo_labels: list[Path],
    model: Path,
    style_encoder: Path,
    curves: Path,
) -> None:
    """Trains the generator that paints portraits from masks; the same command again resumes a killed run.

    The VAE is copied to `style_encoder`, beside the model, so that the folder paints in any image's style by itself.
    """
    train_gaugan(
        settings,
        size=size,
        seed=seed,
        holdout=holdout,
        vae=vae,
        portraits=portraits,
        pseudo_labels=pseudo_labels,
        model=model,
        curves=curves,
    )
    for source, target in ((vae, style_encoder), (vae.with_suffix(".json"), style_encoder.with_suffix(".json"))):
        with whole(target) as beside:
            shutil.copyfile(source, beside)


if __name__ == "__main__":
    run(main, gpu=True)
