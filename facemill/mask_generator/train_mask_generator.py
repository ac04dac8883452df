"""Training of the mask generator: StyleGAN2's networks, to which masks are images of as many channels as classes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from facemill.config.mask_generator import MaskGeneratorConfig
from facemill.data.dataset import train_loader
from facemill.data.shards import mask_classes
from facemill.errors import UserError
from facemill.imaging.figures import colorize, image_grid, save_picture
from facemill.inference.mask_sampler import MaskSampler
from facemill.log import log
from facemill.mask_generator.masks import SmallMasks
from facemill.networks.mask_generator import MaskGenerator, soft_masks
from facemill.networks.store import save_model
from facemill.stylegan.gan import build_gan, generator_kwargs
from facemill.stylegan.portraits import Kinds
from facemill.stylegan.train_stylegan import MIN_PORTRAITS, finish_generator, mirrored
from facemill.training.optimization import make_accelerator
from facemill.training.run import Run

SNAPSHOTS = 8
"""Number of snapshots that a training saves in its folder under `work/`."""
SNAPSHOT_SIDE = 8
"""Rows and columns of a snapshot: the same codes in each."""


def train_mask_generator(
    *,
    settings: MaskGeneratorConfig,
    seed: int,
    holdout: float,
    portraits: list[Path],
    pseudo_labels: list[Path],
    gate: Path,
    model: Path,
    curves: Path,
) -> None:
    """Trains the mask generator on the masks that the gate accepts; the same command resumes a killed run.

    Args:
        settings: the section `mask_generator`.
        seed: seed of weights, order, codes and augmentation.
        holdout: share of the portraits that is held out; the collection's own test split is not trained on either.
        portraits: shards of the collection.
        pseudo_labels: shards of the portraits' masks.
        gate: shard that says which masks are accepted.
        model: the EMA generator, a safetensors file.
        curves: CSV of losses and logits.

    Raises:
        UserError: Fewer than `MIN_PORTRAITS` masks.
    """
    torch.manual_seed(seed)
    accelerator, classes = make_accelerator(), mask_classes(pseudo_labels)
    rows = SmallMasks(portraits, pseudo_labels, classes, settings.size, Kinds.of(portraits, gate, holdout).training)
    if len(rows) < MIN_PORTRAITS:
        raise UserError(f"mask_generator: found {len(rows)} masks to learn from; accepted: {MIN_PORTRAITS} or more")
    log.info("mask_generator: learns from %d masks", len(rows))
    height, width = rows[0].shape
    gan_settings, ratio = settings.gan(), height // width
    no_condition = torch.zeros((1, 0), dtype=torch.int64)
    gan = build_gan(accelerator, gan_settings, ratio, {}, no_condition, torch.ones(1), len(classes))
    settings_key = {"seed": seed, "holdout": holdout} | settings.model_dump(mode="json")
    run = Run("mask_generator", settings_key, [*portraits, *pseudo_labels, gate], gan.learners)
    ema = gan.generator.ema
    assert isinstance(ema, MaskGenerator), "a GAN with classes generates masks"
    save_snapshot = snapshot_callback(MaskSampler(ema, classes), run.folder, settings.training.steps)
    images, batch = settings.training.images, settings.training.batch
    batches = accelerator.prepare(train_loader(rows, batch, seed, run.step))
    for step, masks in zip(run.steps(images, batch, seed), batches, strict=False):
        real = mirrored(soft_masks(masks, len(classes)))
        run.record(**gan.step(real, no_condition.expand(len(masks), -1), step))
        save_snapshot(step, (step + 1) * batch)
    finish_generator(ema)
    init_kwargs = generator_kwargs(gan_settings, ratio, {}, 1, len(classes))
    save_model(model, ema, init_kwargs, settings_key, classes)
    run.finish(curves)


def snapshot_callback(sampler: MaskSampler, folder: Path, total: int) -> Callable[[int, int], None]:
    """A callback for every step that saves masks of the same seeds, `SNAPSHOTS` times in `total` steps."""

    def save_snapshot(step: int, images: int) -> None:
        """Saves a sheet after a step, when it is due."""
        if (step + 1) % max(total // SNAPSHOTS, 1) == 0:
            masks = sampler.masks(range(SNAPSHOT_SIDE**2))
            rows = np.split(np.stack([colorize(mask, sampler.classes) for mask in masks]), SNAPSHOT_SIDE)
            save_picture(
                image_grid([list(row) for row in rows], cell=sampler.generator.height),
                folder / f"masks-{images:09d}.png",
            )

    return save_snapshot
