"""Training of the VAE on portraits."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.nn import functional as F

from facemill.config import Vae as VaeSettings
from facemill.loading import ShardRows, training_batches
from facemill.networks import save_model
from facemill.splits import held_out
from facemill.synthesize.vae import Vae, kl_divergence, resized, to_unit_range
from facemill.training import Run, accelerator, ema_of, set_rate, update_ema, warm_cosine


def train_vae(
    settings: VaeSettings, *, seed: int, holdout: float, portraits: Sequence[Path], model: Path, curves: Path
) -> None:
    """Trains on all portraits but the held-out ones and writes the EMA weights to `model`.

    Loss: L1 of the reconstruction (mean over pixels, images in [-1, 1]) plus `kl_weight` times the KL divergence.
    AdamW with a warm cosine schedule. Resumes where an earlier, killed run stopped.
    """
    torch.manual_seed(seed)
    arguments = {"size": settings.size, "z_dim": settings.z_dim, "width": settings.width}
    vae = Vae(**arguments).to(memory_format=torch.channels_last)
    ema = ema_of(vae)
    optimizer = torch.optim.AdamW(vae.parameters(), settings.training.learning_rate, fused=True)
    accelerate = accelerator()
    vae, optimizer = accelerate.prepare(vae, optimizer)
    plain = accelerate.unwrap_model(vae)
    ema.to(accelerate.device)
    hashed = {"seed": seed, "holdout": holdout} | settings.model_dump(mode="json")
    run = Run("vae", hashed, portraits, {"vae": plain, "ema": ema}, {"adamw": optimizer.optimizer})

    images, batch = settings.training.images, settings.training.batch
    rows = ShardRows(portraits, keep=lambda id: not held_out(id, holdout))
    batches = accelerate.prepare(training_batches(rows, batch, seed, run.step))
    for step, pixels in zip(run.steps(images, batch, seed), batches, strict=False):
        set_rate(optimizer, settings.training.learning_rate * warm_cosine(step, math.ceil(images / batch)))
        real = resized(to_unit_range(pixels), settings.size)
        real = real.flip(3) if torch.rand(()) < 0.5 else real
        reconstructed, mean, log_variance = vae(real)
        reconstruction, divergence = F.l1_loss(reconstructed.float(), real), kl_divergence(mean, log_variance)
        accelerate.backward(reconstruction + settings.kl_weight * divergence)
        optimizer.step()
        optimizer.zero_grad()
        update_ema(ema, plain, step)
        run.record(reconstruction_l1=reconstruction, kl=divergence)
    save_model(model, ema, arguments, hashed)
    run.finish(curves)
