"""The trainings that are killed and resumed, and timed; a later stage adds its own with one function.

Settings are those of `config/config.yaml`, but for the length, what a dry run makes tiny, and GauGAN's preset.
"""

import contextlib
import functools
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple
from unittest import mock

import torch
import yaml
from torch import nn

from facemill.config.root import Config, unet_settings
from facemill.config.segment import SelfTrainingConfig, UnetTrainConfig
from facemill.config.synthesize import GauganConfig
from facemill.data.dataset import ShardDataset
from facemill.data.shards import mask_classes, read_rows, write_shard
from facemill.networks.store import save_model
from facemill.networks.unet import WIDTHS, Unet
from facemill.networks.vae import Vae
from facemill.segment.gate_pseudo_labels import SCHEMA as GATE
from facemill.segment.self_train_unet import self_train_unet as self_train
from facemill.segment.train_unet import train_unet
from facemill.synthesize import train_gaugan, train_vae
from facemill.training.run import Run
from gpu_checks import Context, synchronize
from gpu_checks.timing import peak_gb, release_memory

Training = Callable[[Context, Path, int, int], None]
"""Trains to its end in the present folder, and writes `model.safetensors` and `curves.csv`.

Its arguments are the context, the folder of the model, the length in images, and the batch.
"""

TRAININGS: dict[str, Training] = {}
"""The trainings by name."""

SEED = 1


def training(function: Training) -> Training:
    """Registers a training under its function's name."""
    TRAININGS[function.__name__] = function
    return function


@training
def unet_v1(context: Context, out: Path, images: int, batch: int) -> None:
    """The U-Net of downscaled portraits."""
    _train_unet("v1", context, out, images, batch)


@training
def unet_v2(context: Context, out: Path, images: int, batch: int) -> None:
    """The U-Net of transposed convolutions."""
    _train_unet("v2", context, out, images, batch)


@training
def unet_v3(context: Context, out: Path, images: int, batch: int) -> None:
    """The U-Net that upsamples and convolves."""
    _train_unet("v3", context, out, images, batch)


@training
def self_train_unet(context: Context, out: Path, images: int, batch: int) -> None:
    """v4; its teacher is untrained, so its labels count whatever their confidence."""
    settings = unet_config("v3", context, images, batch)
    size, classes = portrait_size(context), mask_classes([context.data.train])
    arguments: dict[str, Any] = {"classes": len(classes), "size": size}
    arguments |= {"decoder": settings.decoder, "decoder_channels": WIDTHS[settings.width]}
    _save_untrained(Unet, out / "teacher.safetensors", arguments, classes)
    self_train(
        settings=SelfTrainingConfig(confidence=0, training=settings.training),
        unet_settings=settings,
        teacher=out / "teacher.safetensors",
        size=size,
        seed=SEED,
        train=context.data.train,
        validation=context.data.validation,
        portraits=context.data.portraits,
        labelled=[context.data.validation],
        **products(out),
    )


@training
def vae(context: Context, out: Path, images: int, batch: int) -> None:
    """The VAE, on portraits with their labels."""
    train_vae.train_vae(
        settings=lasting(config().vae, images, batch, **context.pick({}, {"width": 4})),
        seed=SEED,
        holdout=config().holdout,
        portraits=[context.data.train],
        pseudo_labels=[context.data.train],
        **products(out),
    )


@training
def gaugan(context: Context, out: Path, images: int, batch: int) -> None:
    """GauGAN with the preset of a large GPU, on portraits with their labels, its styles read by an untrained VAE."""
    arguments = {"size": config().vae.size, "z_dim": config().vae.z_dim, "width": config().vae.width}
    _save_untrained(Vae, out / "vae.safetensors", arguments)
    rows = [{"id": row["id"], "rejected": None} for row in read_rows([context.data.train], ["id"])]
    write_shard(out / "gate.parquet", rows, GATE)
    train_gaugan.train_gaugan(
        settings=gaugan_settings(config().gaugan.model_copy(update={"z": "encoder"}), context, images, batch),
        size=portrait_size(context),
        seed=SEED,
        holdout=config().holdout,
        style_reader=out / "vae.safetensors",
        portraits=[context.data.train],
        pseudo_labels=[context.data.train],
        gate=out / "gate.parquet",
        style_encoder=out / "style_encoder.safetensors",
        **products(out),
    )


def _train_unet(version: Literal["v1", "v2", "v3"], context: Context, out: Path, images: int, batch: int) -> None:
    train_unet(
        version=version,
        settings=unet_config(version, context, images, batch),
        size=portrait_size(context),
        seed=SEED,
        train=context.data.train,
        validation=context.data.validation,
        **products(out),
    )


@functools.cache
def config() -> Config:
    """The config of the embedded sample."""
    return Config.model_validate(yaml.safe_load((Path(__file__).parents[2] / "config/config.yaml").read_text()))


def unet_config(version: Literal["v1", "v2", "v3"], context: Context, images: int, batch: int) -> UnetTrainConfig:
    """The settings of a U-Net's training that does not stop early."""
    settings = unet_settings(config(), version)
    update: dict[str, Any] = {"encoder_weights": context.data.encoder_weights, "patience": images}
    # the encoder needs 32 pixels after downscaling
    update |= context.pick({}, {"width": "tiny", "downscale": min(2, settings.downscale)})
    return lasting(settings, images, batch, **update)


def gaugan_settings(settings: GauganConfig, context: Context, images: int, batch: int) -> GauganConfig:
    """Settings of GauGAN with another length and batch, and the preset of a large GPU."""
    update = {"preset": context.pick("large", "tiny"), "vgg_weights": context.data.vgg_weights}
    update["perceptual"] = "vgg" if context.data.vgg_weights else "none"
    return lasting(settings, images, batch, **update)


def portrait_size(context: Context) -> int:
    """Height of the portraits in pixels."""
    pixels, _ = ShardDataset([context.data.train])[0]
    return pixels.shape[1]


def lasting(settings: Any, images: int, batch: int, **update: Any) -> Any:
    """Settings with another length and batch, and further changes."""
    training = settings.training.model_copy(update={"images": images, "batch": batch})
    return settings.model_copy(update={"training": training} | update)


def products(folder: Path) -> dict[str, Path]:
    """The files that every training writes."""
    return {"model": folder / "model.safetensors", "curves": folder / "curves.csv"}


def _save_untrained(kind: type[nn.Module], path: Path, arguments: dict[str, Any], classes: Any = None) -> None:
    torch.manual_seed(SEED)
    save_model(path, kind(**arguments), arguments, {}, classes)


@contextlib.contextmanager
def working_folder(context: Context) -> Iterator[Path]:
    """A new folder, which is the present one."""
    with tempfile.TemporaryDirectory(dir=context.work) as folder, contextlib.chdir(folder):
        yield Path(folder)


@contextlib.contextmanager
def plain_steps() -> Iterator[None]:
    """Validation, snapshots and curves, which belong to tenths of a training or less, after the last step alone."""
    places = ("segment.train_unet.VALIDATIONS", "synthesize.train_gaugan.SNAPSHOTS", "training.run.CURVE_POINTS")
    with contextlib.ExitStack() as stack:
        for place in places:
            stack.enter_context(mock.patch(f"facemill.{place}", 1))
        yield


class Timing(NamedTuple):
    """Speed of a training, and the memory that its tensors needed at most; None without a GPU."""

    images_per_second: float
    peak_gpu_gb: float | None


WARM_UP = 10
"""Steps that are not timed: kernels are loaded and chosen, memory is reserved."""


def timed(name: str, context: Context, images: int, batch: int) -> Timing:
    """Trains in this process, and measures the steps after the warm-up but for the last.

    Args:
        name: key of `TRAININGS`.
        context: what the check is given.
        images: length; at least three batches.
        batch: images of a step.
    """
    marks: list[float] = []
    total = math.ceil(images / batch)
    warm_up = min(WARM_UP, total // 3)
    steps = Run.steps

    def marked_steps(run: Run, *arguments: int) -> Iterator[int]:
        for step in steps(run, *arguments):
            if step in (warm_up, total - 1):
                synchronize()
                marks.append(time.perf_counter())
            yield step

    release_memory()
    with plain_steps(), mock.patch.object(Run, "steps", marked_steps), working_folder(context) as folder:
        TRAININGS[name](context, folder, images, batch)
    start, end = marks
    return Timing((total - 1 - warm_up) * batch / (end - start), peak_gb())
