"""Training of one U-Net version on augmented labelled portraits."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from facemill.config.segment import UnetTrainConfig
from facemill.data.classes import IGNORE, SEVEN
from facemill.data.dataset import ShardDataset, train_loader
from facemill.log import log
from facemill.metrics.segmentation import confusion, iou
from facemill.networks.imagenet import load_encoder
from facemill.networks.segmentation_losses import class_weights, cross_entropy_dice
from facemill.networks.store import save_model
from facemill.networks.unet import WIDTHS, Unet
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

VALIDATIONS = 10
"""How often in a training the validation portraits are measured."""


def train_unet(
    version: str,
    settings: UnetTrainConfig,
    *,
    size: int,
    seed: int,
    train: Sequence[Path],
    validation: Sequence[Path],
    model: Path,
    curves: Path,
) -> None:
    """Trains on the rows (image, mask) of the `train` shards and writes the best EMA weights to `model`.

    Loss: cross-entropy plus Dice. AdamW with a warm cosine schedule. Resumes where an earlier, killed run stopped. What
    is best the `validation` shards say, which also stop it early (`EarlyStopping`); without any the last weights are
    written.
    """
    torch.manual_seed(seed)
    unet, arguments = new_unet(settings, size)
    optimizer = torch.optim.AdamW(unet.parameters(), settings.training.learning_rate, weight_decay=1e-2, fused=True)
    accelerate = accelerator()
    ema, best = (ema_of(unet).to(accelerate.device) for _ in range(2))
    plain, unet, optimizer = unet, prepared(accelerate, unet), accelerate.prepare(optimizer)
    hashed = {"version": version, "size": size, "seed": seed} | settings.model_dump(mode="json")
    modules = {"unet": plain, "ema": ema, "best": best}
    run = Run(f"unet-{version}", hashed, [*train, *validation], modules, {"adamw": optimizer.optimizer})

    images, batch = settings.training.images, settings.training.batch
    total = math.ceil(images / batch)
    batches = accelerate.prepare(train_loader(ShardDataset(train), batch, seed, run.step))
    weights = class_weights(settings.class_weights, SEVEN).to(accelerate.device)
    watch = EarlyStopping(run, ema, best, validation, total, settings.patience)
    for step, (pixels, masks) in zip(run.steps(images, batch, seed), batches, strict=False):
        set_rate(optimizer, settings.training.learning_rate * warm_cosine(step, total))
        loss = cross_entropy_dice(unet(pixels.float() / 255), masks.long(), IGNORE, weights)
        accelerate.backward(loss)
        average_gradients(plain, accelerate)
        optimizer.step()
        optimizer.zero_grad()
        update_ema(ema, plain, rising_decay(step))
        watch.look(step)
        run.record(loss=loss)
    if accelerate.is_main_process:
        save_model(model, best, arguments, hashed, SEVEN)
        run.finish(curves)


def new_unet(settings: UnetTrainConfig, size: int) -> tuple[Unet, dict[str, Any]]:
    """A U-Net as its training begins, for portraits of this size, and the arguments of `Unet` that make it."""
    arguments = {"classes": len(SEVEN), "size": size, "decoder": settings.decoder, "downscale": settings.downscale}
    arguments |= {"decoder_channels": WIDTHS[settings.width]}
    unet = Unet(**arguments)
    load_encoder(unet.encoder, settings.encoder_weights)
    return unet.to(memory_format=torch.channels_last), arguments


class EarlyStopping:
    """Measures EMA weights on the validation portraits, keeps the best of them, and ends a run that gains no more.

    The best are the latest whose mIoU is within one standard error of the highest (the rule of Breiman et al. 1984,
    section 3.4.3, with "later" for "simpler"): the fewer the portraits, the less may their highest figure, a matter of
    luck among ten, overrule the end of the schedule. A run that was killed goes on as if it had not been: the best
    weights and figures are in its checkpoint.
    """

    def __init__(
        self, run: Run, ema: nn.Module, best: nn.Module, validation: Sequence[Path], total: int, patience: int
    ) -> None:
        self.run, self.ema, self.best, self.total, self.patience = run, ema, best, total, patience
        self.rows = ShardDataset(validation) if validation else []
        if self.rows:
            run.kept = {"validation_miou": 0.0, "best_miou": 0.0, "since_best": 0} | run.kept

    def look(self, step: int) -> None:
        """To be called after each step; measures after every tenth part of them and after the last."""
        if step + 1 != self.total and (step + 1) % max(self.total // VALIDATIONS, 1):
            return
        if not self.rows:
            self.best.load_state_dict(self.ema.state_dict())
            return
        kept = self.run.kept
        kept["validation_miou"], error = measure(self.ema, self.rows)
        kept["best_miou"] = max(kept["best_miou"], kept["validation_miou"])
        kept["since_best"] += 1
        if kept["validation_miou"] >= kept["best_miou"] - error:
            self.best.load_state_dict(self.ema.state_dict())
            kept["since_best"] = 0
        if kept["since_best"] >= self.patience and step + 1 < self.total:
            log.info("%s: stops early: validation mIoU was %.3f, not near it since", self.run.name, kept["best_miou"])
            self.run.ended = True


@torch.no_grad()
def measure(unet: nn.Module, rows: ShardDataset) -> tuple[float, float]:
    """Mean IoU over the classes, on all pixels of the rows together, and its standard error.

    The latter is that of the mean of the portraits' own mIoUs; infinite for a single portrait, which tells nothing.
    """
    device = next(unet.parameters()).device
    masks = ((unet(pixels[None].to(device).float() / 255).argmax(1)[0].cpu(), truth) for pixels, truth in rows)
    each = np.stack([confusion(mask.numpy(), truth.numpy(), len(SEVEN)) for mask, truth in masks])
    own = [np.nanmean(iou(of_one)) for of_one in each if of_one.any()]  # a mask may be ignored as a whole
    error = float(np.std(own, ddof=1) / math.sqrt(len(own))) if len(own) > 1 else math.inf
    return float(np.nanmean(iou(each.sum(0)))), error
