"""Training of the VAE on portraits."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from facemill.config.synthesize import VaeConfig
from facemill.data.dataset import ShardDataset, train_loader
from facemill.data.splits import held_out
from facemill.imaging.colors import REGIONS
from facemill.networks.store import save_model
from facemill.networks.vae import Vae, kl_divergence, resized, to_signed_range
from facemill.training.run import (
    Run,
    accelerator,
    average_gradients,
    ema_of,
    prepared,
    rising_decay,
    set_rate,
    update_ema,
    warm_cosine,
)

MIN_AREA = 8
"""A region smaller than so many pixels counts for less than others."""

BALANCE = 0.5
"""Share of the reconstruction loss in which every region of a portrait counts alike; in the rest every pixel does."""


def region_weights(masks: Tensor, size: int) -> Tensor:
    """How much each pixel counts, float32 (B, 1, size, size) with mean 1, by the masks (B, H, W) of class ids.

    A narrow strip of clothes has colors of its own that a style must hold, as much as a wide background has.
    """
    shares = [torch.stack([masks == id for id in ids]).any(0) for ids in REGIONS.values()]
    regions = resized(torch.stack(shares, 1).float(), size)
    areas = regions.sum((2, 3), keepdim=True)
    alike = (regions / areas.clamp(min=MIN_AREA)).sum(1, keepdim=True)
    return BALANCE * alike / alike.mean((2, 3), keepdim=True).clamp(min=1e-6) + 1 - BALANCE


def train_vae(
    settings: VaeConfig,
    *,
    seed: int,
    holdout: float,
    portraits: Sequence[Path],
    pseudo_labels: Sequence[Path] = (),
    model: Path,
    curves: Path,
) -> None:
    """Trains on all portraits but the held-out ones and writes the EMA weights to `model`.

    Loss: L1 of the reconstruction (images in [-1, 1]; mean over pixels, weighted by `region_weights` where there are
    pseudo-labels) plus `kl_weight` times the KL divergence. AdamW with a warm cosine schedule. Resumes where an
    earlier, killed run stopped.
    """
    torch.manual_seed(seed)
    arguments = {"size": settings.size, "z_dim": settings.z_dim, "width": settings.width}
    vae = Vae(**arguments).to(memory_format=torch.channels_last)
    ema = ema_of(vae)
    optimizer = torch.optim.AdamW(vae.parameters(), settings.training.learning_rate, fused=True)
    accelerate = accelerator()
    plain, vae, optimizer = vae, prepared(accelerate, vae), accelerate.prepare(optimizer)
    ema.to(accelerate.device)
    hashed = {"seed": seed, "holdout": holdout} | settings.model_dump(mode="json")
    run = Run("vae", hashed, [*portraits, *pseudo_labels], {"vae": plain, "ema": ema}, {"adamw": optimizer.optimizer})

    images, batch = settings.training.images, settings.training.batch
    rows = ShardDataset(portraits, pseudo_labels, keep=lambda id: not held_out(id, holdout))
    batches = accelerate.prepare(train_loader(rows, batch, seed, run.step))
    for step, batched in zip(run.steps(images, batch, seed), batches, strict=False):
        set_rate(optimizer, settings.training.learning_rate * warm_cosine(step, math.ceil(images / batch)))
        pixels, masks = batched if pseudo_labels else (batched, None)
        real = resized(to_signed_range(pixels), settings.size)
        weights = torch.ones(()) if masks is None else region_weights(masks, settings.size)
        if torch.rand(()) < 0.5:
            real, weights = real.flip(-1), weights.flip(-1)
        reconstructed, mean, log_variance = vae(real)
        reconstruction = (weights * (reconstructed.float() - real).abs()).mean()
        divergence = kl_divergence(mean, log_variance)
        accelerate.backward(reconstruction + settings.kl_weight * divergence)
        average_gradients(plain, accelerate)
        optimizer.step()
        optimizer.zero_grad()
        update_ema(ema, plain, rising_decay(step))
        run.record(reconstruction_l1=reconstruction, kl=divergence)
    if accelerate.is_main_process:
        save_model(model, ema, arguments, hashed)
        run.finish(curves)
