"""Training of the VAE on portraits."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from facemill.config.synthesize import VaeConfig
from facemill.data.classes import IGNORE, ClassTable
from facemill.data.dataset import ShardDataset, train_loader
from facemill.data.shards import mask_classes, read_rows
from facemill.data.splits import held_out, trained_on
from facemill.errors import UserError
from facemill.imaging.colors import region_ids
from facemill.networks.store import save_model
from facemill.networks.vae import Vae, kl_divergence, resized, to_signed_range
from facemill.training.learner import EmaLearner
from facemill.training.optimization import cosine_with_warmup, make_accelerator
from facemill.training.run import Run

MIN_HELD_OUT = 2
"""Held-out portraits without which VAE and GauGAN could not be evaluated."""

MIN_AREA = 8
"""Pixels from which a region has its full weight; a smaller region has less."""

BALANCE = 0.5
"""Share of the reconstruction loss in which all regions weigh the same; in the rest all pixels do."""


def train_vae(
    *,
    settings: VaeConfig,
    seed: int,
    holdout: float,
    portraits: list[Path],
    pseudo_labels: list[Path] | None = None,
    model: Path,
    curves: Path,
) -> None:
    """Trains the VAE, whose encoder can read style codes; the same command resumes a killed run.

    The loss is the L1 of the reconstruction (images in [-1, 1]; mean over pixels, weighted by `region_weights` where
    there are pseudo-labels) plus `kl_weight` times the KL divergence. AdamW, with a warmup and a cosine schedule. The
    EMA weights are written.

    Args:
        settings: the section `vae`.
        seed: seed of weights and order.
        holdout: share of the portraits that is held out; the collection's own test split is not trained on either.
        portraits: shards of the collection.
        pseudo_labels: shards of the portraits' masks.
        model: the trained VAE, a safetensors file.
        curves: CSV of the losses.
    """
    torch.manual_seed(seed)
    accelerator = make_accelerator()
    images, batch = settings.training.images, settings.training.batch
    learner, init_kwargs = build_learner(accelerator, settings)
    settings_key = {"seed": seed, "holdout": holdout} | settings.model_dump(mode="json")
    run = Run("vae", settings_key, [*portraits, *(pseudo_labels or [])], {"vae": learner})

    rows = training_rows(portraits, pseudo_labels or [], holdout)
    classes = mask_classes(pseudo_labels) if pseudo_labels else None
    batches = accelerator.prepare(train_loader(rows, batch, seed, run.step))
    for step, items in zip(run.steps(images, batch, seed), batches, strict=False):
        pixels, masks = items if classes else (items, None)
        losses = vae_losses(learner.net, settings, classes, pixels, masks)
        learner.step(losses["reconstruction_l1"] + settings.kl_weight * losses["kl"], step)
        run.record(**losses)
    if accelerator.is_main_process:
        save_model(model, learner.ema, init_kwargs, settings_key)
        run.finish(curves)


def build_learner(accelerator: Accelerator, settings: VaeConfig) -> tuple[EmaLearner[Vae], dict[str, Any]]:
    """A new VAE with AdamW and a cosine schedule with warmup, and the arguments of `Vae` that build the network."""
    lr, total = settings.training.learning_rate, settings.training.steps
    init_kwargs = {"size": settings.size, "z_dim": settings.z_dim, "width": settings.width}
    vae = Vae(**init_kwargs).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(vae.parameters(), lr, fused=True)
    return EmaLearner(accelerator, vae, optimizer, lambda step: lr * cosine_with_warmup(step, total)), init_kwargs


def vae_losses(
    vae: Vae, settings: VaeConfig, classes: ClassTable | None, pixels: Tensor, masks: Tensor | None
) -> dict[str, Tensor]:
    """The scalar losses of a batch, half of which are mirrored: by one coin for the process's part of it.

    Args:
        vae: the network in training.
        settings: the section `vae`.
        classes: the masks' class table.
        pixels: portraits, uint8 (B, 3, H, W).
        masks: their class ids, uint8 (B, H, W), where there are any.
    """
    weights = torch.ones(()) if masks is None or not classes else region_weights(masks, settings.size, classes)
    real = resized(to_signed_range(pixels), settings.size)
    if torch.rand(()) < 0.5:
        real, weights = real.flip(-1), weights.flip(-1)
    reconstructed, mean, log_variance = vae(real)
    reconstruction = (weights * (reconstructed.float() - real).abs()).mean()
    return {"reconstruction_l1": reconstruction, "kl": kl_divergence(mean, log_variance)}


def training_rows(portraits: Sequence[Path], pseudo_labels: Sequence[Path], holdout: float) -> ShardDataset:
    """The portraits that are not held out (`trained_on`), with their masks.

    Raises:
        UserError: Fewer than `MIN_HELD_OUT` portraits are held out, so that nothing could be evaluated, or all are.
    """
    ids = [row["id"] for row in read_rows(portraits, ["id"])]
    if (evaluated := sum(held_out(row_id, holdout) for row_id in ids)) < MIN_HELD_OUT:
        raise UserError(
            f"holdout: found {holdout:g}, which holds out {evaluated} of {len(ids)} portraits; "
            f"accepted: a share that holds out {MIN_HELD_OUT} or more"
        )
    rows = ShardDataset(portraits, pseudo_labels, trained_on(portraits, holdout))
    if not len(rows):
        raise UserError("portraits: all are held out, or of the collection's own test split; accepted: others, too")
    return rows


def region_weights(masks: Tensor, size: int, classes: ClassTable) -> Tensor:
    """The weight of each pixel in the reconstruction loss, float32 (B, 1, size, size) with mean 1.

    A narrow strip of clothes has colors that the style code must hold just as those of a wide background.

    Args:
        masks: class ids, (B, H, W).
        size: side of the VAE's images.
        classes: the masks' class table.
    """
    regions = [ids for ids in region_ids(classes).values() if ids]
    members = torch.zeros(len(regions), IGNORE + 1)
    for region, class_ids in zip(members, regions, strict=True):
        region[list(class_ids)] = 1
    members, pixels = members.to(masks.device, non_blocking=True), masks.flatten(1).long()
    counts = members.new_zeros(len(masks), IGNORE + 1).scatter_add_(1, pixels, members.new_ones(pixels.shape))
    areas = counts @ members.T * (size**2 / pixels.shape[1])
    by_class = areas.clamp(min=MIN_AREA).reciprocal() @ members  # a pixel has the weights of all its regions
    balanced = resized(by_class.gather(1, pixels).view_as(masks)[:, None], size)
    return BALANCE * balanced / balanced.mean((2, 3), keepdim=True).clamp(min=1e-6) + 1 - BALANCE
