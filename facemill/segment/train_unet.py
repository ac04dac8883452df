"""Training of one U-Net version on augmented labelled portraits."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facemill.classes import IGNORE
from facemill.config import UnetSettings
from facemill.loading import ShardRows, training_batches
from facemill.networks import save_model
from facemill.segment.metrics import confusion, iou
from facemill.segment.unet import Unet, cross_entropy_dice, load_encoder
from facemill.training import Run, accelerator, ema_of, set_rate, update_ema, warm_cosine

VALIDATIONS = 10
"""How often in a training the validation portraits are measured."""


def train_unet(
    version: str,
    settings: UnetSettings,
    *,
    size: int,
    seed: int,
    train: Sequence[Path],
    validation: Sequence[Path],
    model: Path,
    curves: Path,
) -> None:
    """Trains on the rows (image, mask) of the `train` shards and writes the EMA weights to `model`.

    Loss: cross-entropy plus Dice. AdamW with a warm cosine schedule. Resumes where an earlier, killed run stopped.
    """
    torch.manual_seed(seed)
    arguments = {
        "size": size,
        "decoder": settings.decoder,
        "decoder_channels": settings.decoder_channels,
        "reduction": settings.reduction,
    }
    unet = Unet(**arguments)
    load_encoder(unet, settings.encoder_weights)
    unet = unet.to(memory_format=torch.channels_last)
    ema = ema_of(unet)
    optimizer = torch.optim.AdamW(unet.parameters(), settings.training.learning_rate, weight_decay=1e-2, fused=True)
    accelerate = accelerator()
    unet, optimizer = accelerate.prepare(unet, optimizer)
    ema.to(accelerate.device)
    hashed = {"version": version, "size": size, "seed": seed} | settings.model_dump(mode="json")
    modules = {"unet": accelerate.unwrap_model(unet), "ema": ema}
    run = Run(f"unet-{version}", hashed, [*train, *validation], modules, {"adamw": optimizer.optimizer})

    images, batch = settings.training.images, settings.training.batch
    total = math.ceil(images / batch)
    batches = accelerate.prepare(training_batches(ShardRows(train), batch, seed, run.step))
    held_out = ShardRows(validation)
    run.kept.setdefault("validation_miou", 0.0)
    for step, (pixels, masks) in zip(run.steps(images, batch, seed), batches, strict=False):
        set_rate(optimizer, settings.training.learning_rate * warm_cosine(step, total))
        loss = cross_entropy_dice(unet(pixels.float() / 255), masks.long(), IGNORE)
        accelerate.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        update_ema(ema, accelerate.unwrap_model(unet), step)
        if (step + 1) % max(total // VALIDATIONS, 1) == 0:
            run.kept["validation_miou"] = measure(ema, held_out)
        run.record(loss=loss)
    save_model(model, ema, arguments, hashed)
    run.finish(curves)


@torch.no_grad()
def measure(unet: torch.nn.Module, rows: ShardRows) -> float:
    """Mean IoU over the classes, on all pixels of the rows together."""
    total = np.zeros(0)
    for pixels, mask in rows:
        predicted = predict(unet, pixels[None])[0]
        matrix = confusion(predicted.numpy(), mask.numpy())
        total = matrix if not total.size else total + matrix
    return float(np.nanmean(iou(total)))


def predict(unet: torch.nn.Module, pixels: Tensor) -> Tensor:
    """Class ids, uint8 (B, H, W) on the CPU, of uint8 images (B, 3, H, W)."""
    device = next(unet.parameters()).device
    return unet(pixels.to(device).float() / 255).argmax(1).to("cpu", torch.uint8)
