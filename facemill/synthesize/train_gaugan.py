"""Training of GauGAN on pseudo-labelled portraits, with style codes that are read from them."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from facemill.config.ingest import Cropping, CropPlace, DetectorConfig
from facemill.config.synthesize import GauganConfig
from facemill.data.batching import evenly_spaced
from facemill.data.dataset import ShardDataset, train_loader
from facemill.data.shards import mask_classes, read_rows
from facemill.data.splits import held_out, trained_on
from facemill.errors import UserError
from facemill.files import atomic_write
from facemill.imaging.figures import save_picture
from facemill.inference.painter import Painter
from facemill.log import log
from facemill.networks.region_styles import CODE
from facemill.networks.spade import Generator, remove_spectral_norm
from facemill.networks.store import load_model, save_model
from facemill.networks.vae import Vae, to_signed_range
from facemill.synthesize.gan import Gan, build_gan, generator_kwargs
from facemill.synthesize.styles import region_distribution, style_distribution, training_styles
from facemill.training.optimization import make_accelerator
from facemill.training.run import Run

SNAPSHOTS = 8
"""Number of snapshots that a training saves in its folder under `work/`."""
SNAPSHOT_SIDE = 6
"""Masks, and styles, of a snapshot: held-out portraits, the same in each."""


def train_gaugan(
    *,
    settings: GauganConfig,
    size: int,
    seed: int,
    holdout: float,
    style_reader: Path,
    portraits: list[Path],
    pseudo_labels: list[Path],
    gate: Path,
    perceptual_unet: Path | None = None,
    crop: CropPlace = "middle",
    detector: DetectorConfig | None = None,
    model: Path,
    style_encoder: Path,
    curves: Path,
) -> None:
    """Trains the generator that paints portraits from masks; the same command resumes a killed run.

    Args:
        settings: the section `gaugan`.
        size: height of the portraits in pixels.
        seed: seed of weights, order, styles and augmentation.
        holdout: share of the portraits that is held out; the collection's own test split is not trained on either.
        style_reader: what reads the styles of images that come without masks: for codes by region the U-Net that
            labels, else the VAE.
        portraits: shards of the collection.
        pseudo_labels: shards of the portraits' masks.
        gate: shard that says which portraits are accepted.
        perceptual_unet: the U-Net in whose features `perceptual: unet` compares, not the one that evaluates.
        crop: place of the portraits in images of another aspect, which the model's JSON tells whoever gives it images.
        detector: section `portraits.detector` of the config, as JSON, where portraits lie at faces; in the JSON, too.
        model: the EMA generator, a safetensors file.
        style_encoder: copy of `style_reader` beside the model, so that the folder is complete.
        curves: CSV of the losses.
    """
    torch.manual_seed(seed)
    accelerator = make_accelerator()
    classes, rows = mask_classes(pseudo_labels), accepted_rows(portraits, pseudo_labels, gate, holdout)
    encoder = None if settings.z == "regions" else load_model(Vae, style_reader)
    gan, init_kwargs = new_gan(accelerator, settings, rows, len(classes), size, encoder, perceptual_unet)
    settings_key = {"size": size, "seed": seed, "holdout": holdout} | settings.model_dump(mode="json")
    inputs = [style_reader, *portraits, *pseudo_labels, gate, *filter(None, [perceptual_unet])]
    run = Run("gaugan", settings_key, inputs, gan.learners)
    painter = Painter(gan.generator.ema, classes, encoder)
    save_snapshot = snapshot_callback(painter, portraits, pseudo_labels, holdout, run.folder, settings.training.steps)
    batch = settings.training.batch
    batches = accelerator.prepare(train_loader(rows, batch, seed, run.step))
    for step, (pixels, masks) in zip(run.steps(settings.training.images, batch, seed), batches, strict=False):
        real, masks = half_flipped(to_signed_range(pixels), masks)
        with torch.no_grad(), accelerator.autocast():
            z = training_styles(painter, real, masks)
        run.record(**gan.step(real, masks, z, step))
        if accelerator.is_main_process:
            save_snapshot(step, (step + 1) * batch)
    if accelerator.is_main_process:
        finish_generator(gan.generator.ema, encoder, rows)
        save_model(model, gan.generator.ema, init_kwargs, settings_key | cropping(crop, detector), classes)
        copy_model(style_reader, style_encoder)
        run.finish(curves)


def finish_generator(generator: Generator, encoder: Vae | None, rows: ShardDataset) -> None:
    """Folds the spectral norm into the weights, and takes the distribution of the styles that an encoder reads."""
    remove_spectral_norm(generator)
    if encoder and generator.z == "encoder":
        generator.set_styles(*style_distribution(encoder, rows))


def new_gan(
    accelerator: Accelerator,
    settings: GauganConfig,
    rows: ShardDataset,
    classes: int,
    size: int,
    encoder: Vae | None,
    perceptual_unet: Path | None,
) -> tuple[Gan, dict[str, Any]]:
    """New networks, and the generator's arguments; codes by region have their mean from the start.

    Args:
        accelerator: from `make_accelerator`.
        settings: the section `gaugan`.
        rows: the portraits that it learns from.
        classes: number of classes.
        size: height of the portraits in pixels.
        encoder: reads styles; None for codes by region.
        perceptual_unet: the U-Net in whose features `perceptual: unet` compares.
    """
    z_dim = encoder.z_dim if encoder else CODE * classes
    init_kwargs = generator_kwargs(settings, classes, size, aspect_ratio(rows), z_dim)
    gan = build_gan(accelerator, settings, init_kwargs, perceptual_unet)
    if encoder is None:
        mean, covariance = region_distribution(rows, classes)
        for generator in (gan.generator.raw, gan.generator.ema):
            generator.set_styles(mean, covariance)
    return gan, init_kwargs


def half_flipped(images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Images (N, 3, H, W) and masks (N, H, W), mirrored by one coin for the process's part of a batch."""
    return (images.flip(3), masks.flip(2)) if torch.rand(()) < 0.5 else (images, masks)


def cropping(crop: CropPlace, detector: DetectorConfig | None) -> dict[str, Any]:
    """How portraits were cropped, for a model's JSON."""
    return Cropping(crop=crop, detector=detector).model_dump(mode="json")


def accepted_rows(portraits: Sequence[Path], pseudo_labels: Sequence[Path], gate: Path, holdout: float) -> ShardDataset:
    """The portraits that `gate` accepts and that are not held out (`trained_on`), with their masks."""
    accepted = {row["id"] for row in read_rows([gate], ["id", "rejected"]) if row["rejected"] is None}
    learned = trained_on(portraits, holdout)
    rows = ShardDataset(portraits, pseudo_labels, keep=lambda row_id: row_id in accepted and learned(row_id))
    if not len(rows):
        raise UserError(
            f"{gate}: accepts only held-out portraits, the collection's own test split among them; "
            "accepted: a lower holdout, or more portraits"
        )
    log.info("gaugan: learns from %d portraits", len(rows))
    return rows


def aspect_ratio(rows: ShardDataset) -> int:
    """Height : width of the portraits, 1 or 2."""
    height, width = rows[0][1].shape
    return height // width


def snapshot_callback(
    painter: Painter,
    portraits: Sequence[Path],
    pseudo_labels: Sequence[Path],
    holdout: float,
    folder: Path,
    total: int,
) -> Callable[[int, int], None]:
    """A callback for every step that saves a grid of portraits, `SNAPSHOTS` times in `total` steps.

    Args:
        painter: the generator in training.
        portraits: shards of the collection.
        pseudo_labels: shards of the portraits' masks.
        holdout: share that is held out; masks of some of these portraits are painted in the styles of others.
        folder: folder of the snapshots.
        total: steps of the complete training.

    Returns:
        A function of the step's number and the images so far.
    """
    rows = ShardDataset(portraits, pseudo_labels, keep=lambda row_id: held_out(row_id, holdout))
    chosen = evenly_spaced(len(rows), 2 * SNAPSHOT_SIDE)
    if len(chosen) < 2:
        return lambda step, images: None
    pixels, masks = (torch.stack(tensors) for tensors in zip(*(rows[i] for i in chosen), strict=True))
    z = painter.encode_styles(pixels, masks) if painter.styles_are_read else painter.random_styles(len(pixels))
    half = len(chosen) // 2

    def save_snapshot(step: int, images: int) -> None:
        if (step + 1) % max(total // SNAPSHOTS, 1) == 0:
            grid = painter.style_grid(pixels, masks, z, range(half), range(half, len(chosen)))
            save_picture(grid, folder / f"snapshot-{images:09d}.png")

    return save_snapshot


def copy_model(source: Path, target: Path) -> None:
    """Copies a model's safetensors file and the JSON beside it."""
    for suffix in (".safetensors", ".json"):
        with atomic_write(target.with_suffix(suffix)) as tmp:
            shutil.copyfile(source.with_suffix(suffix), tmp)
