"""Trains a U-Net with what another is sure of in unlabelled portraits."""

from pathlib import Path
from typing import Annotated

from facemill.config.segment import SelfTrainingConfig, UnetTrainConfig
from facemill.segment.self_train_unet import self_train_unet
from facemill.workflow.command import Settings, run


def main(
    *,
    settings: Annotated[SelfTrainingConfig, Settings],
    unet_settings: Annotated[UnetTrainConfig, Settings],
    teacher: Path,
    size: int,
    seed: int,
    train: Path,
    validation: Path,
    portraits: list[Path],
    labelled: list[Path],
    model: Path,
    curves: Path,
) -> None:
    """Trains a U-Net with what another (v3) is sure of in unlabelled portraits; the same command resumes a killed run.

    Args:
        settings: the section `self_training`
        unet_settings: what the other was trained with
        teacher: the other U-Net
        size: of the portraits
        seed: of everything random
        train: shard of augmented labelled portraits
        validation: shard of the labelled portraits that say which weights are best
        portraits: shards of the collection
        labelled: shards of all labelled portraits, which are left out of the collection
        model: the trained U-Net, a safetensors file
        curves: CSV of losses, share of believed pixels and validation mIoU
    """
    self_train_unet(
        settings,
        unet_settings,
        teacher=teacher,
        size=size,
        seed=seed,
        train=[train],
        validation=[validation],
        portraits=portraits,
        labelled=labelled,
        model=model,
        curves=curves,
    )


if __name__ == "__main__":
    run(main, gpu=True)
