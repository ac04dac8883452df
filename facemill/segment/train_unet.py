"""Supervised training of a U-Net on augmented labelled portraits."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from facemill.config.fields import TrainingConfig
from facemill.config.segment import UnetTrainConfig
from facemill.data.classes import IGNORE
from facemill.data.dataset import ShardDataset, train_loader
from facemill.data.shards import mask_classes
from facemill.errors import UserError
from facemill.log import log
from facemill.metrics.segmentation import confusion, iou
from facemill.networks.imagenet import load_encoder
from facemill.networks.segmentation_losses import class_weights, cross_entropy_dice
from facemill.networks.store import save_model
from facemill.networks.timm_networks import TimmEncoder, load_timm_weights
from facemill.networks.unet import WIDTHS, Unet
from facemill.training.learner import EmaLearner
from facemill.training.optimization import cosine_with_warmup, make_accelerator, make_ema
from facemill.training.run import Run

VALIDATIONS = 10
"""Number of validations in a training."""


def train_unet(
    *,
    version: str,
    settings: UnetTrainConfig,
    size: int,
    seed: int,
    train: Path,
    validation: Path | None = None,
    model: Path,
    curves: Path,
) -> None:
    """Trains one U-Net version on augmented portraits; the same command resumes a killed run.

    The loss is cross-entropy plus Dice; the optimizer AdamW, with a warmup and a cosine schedule. The EMA weights with
    the best validation are written, which also stops the training early (`EarlyStopping`).

    Args:
        version: name of the version, for the log and the checkpoint's folder.
        settings: how the version is built and trained.
        size: side of the portraits in pixels.
        seed: seed of weights and order.
        train: shard of augmented labelled portraits.
        validation: shard of the validation portraits; without it the last weights are written.
        model: the trained U-Net, a safetensors file.
        curves: CSV of loss and validation mIoU.
    """
    torch.manual_seed(seed)
    accelerator = make_accelerator()
    shards = [train, validation] if validation else [train]
    classes = mask_classes(shards)
    learner, init_kwargs = build_learner(accelerator, settings, settings.training, size, len(classes))
    best = make_ema(learner.ema)
    settings_key = {"version": version, "size": size, "seed": seed} | settings.model_dump(mode="json")
    run = Run(f"unet-{version}", settings_key, shards, {"unet": learner}, {"best": best})

    images, batch = settings.training.images, settings.training.batch
    early_stopping = EarlyStopping(run, learner.ema, best, validation, settings.training.steps, settings.patience)
    weights = class_weights(settings.class_weights, classes).to(accelerator.device)
    batches = accelerator.prepare(train_loader(ShardDataset([train]), batch, seed, run.step))
    for step, (pixels, masks) in zip(run.steps(images, batch, seed), batches, strict=False):
        loss = cross_entropy_dice(learner.net(pixels.float() / 255), masks.long(), IGNORE, weights)
        learner.step(loss, step)
        early_stopping.update(step)
        run.record(loss=loss)
    if accelerator.is_main_process:
        save_model(model, best, init_kwargs, settings_key, classes)
        run.finish(curves)


def build_learner(
    accelerator: Accelerator, settings: UnetTrainConfig, training: TrainingConfig, size: int, classes: int
) -> tuple[EmaLearner, dict[str, Any]]:
    """A new U-Net with AdamW and a cosine schedule with warmup, and the arguments of `Unet` that build the network.

    Args:
        accelerator: from `make_accelerator`.
        settings: how the U-Net is built.
        training: images, batch and learning rate of its training.
        size: side of the portraits in pixels.
        classes: number of classes.
    """
    init_kwargs = unet_arguments(settings, size, classes)
    unet = Unet(**init_kwargs)
    if isinstance(unet.encoder, TimmEncoder):
        weights, key = settings.encoder_weights, "unet.encoder_weights"
        load_timm_weights(unet.encoder.network, settings.encoder, weights, key=key)
    else:
        load_encoder(unet.encoder, settings.encoder_weights)
    unet.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(unet.parameters(), training.learning_rate, weight_decay=1e-2, fused=True)

    def learning_rate(step: int) -> float:
        return training.learning_rate * cosine_with_warmup(step, training.steps)

    return EmaLearner(accelerator, unet, optimizer, learning_rate), init_kwargs


def unet_arguments(settings: UnetTrainConfig, size: int, classes: int) -> dict[str, Any]:
    """The arguments of `Unet` that build a U-Net of `classes` classes for portraits of a size."""
    return {
        "classes": classes,
        "size": size,
        "decoder_channels": WIDTHS[settings.width],
        "decoder": settings.decoder,
        "downscale": settings.downscale,
        "encoder": settings.encoder,
    }


class EarlyStopping:
    """Validates the EMA weights, copies the best to `best`, and stops a run that no longer improves.

    The best weights are the latest whose mIoU is within one standard error of the highest: the rule of Breiman et al.
    1984, section 3.4.3, with "later" for "simpler". With few validation portraits the highest mIoU is partly luck, and
    must not outweigh the end of the schedule. The standard error is that of the highest: that of later weights grows
    as much as their mIoU falls where they fail on a single portrait. The state is in the run's checkpoint: a killed
    run resumes exactly.

    Args:
        run: the training.
        ema: the network to validate.
        best: a copy of it for the best weights.
        validation: shard of the validation portraits; without it the last weights are the best.
        total: steps of the complete training.
        patience: validations in a row more than a standard error below the highest mIoU, after which the run stops.
    """

    def __init__(
        self, run: Run, ema: nn.Module, best: nn.Module, validation: Path | None, total: int, patience: int
    ) -> None:
        self.run, self.ema, self.best, self.total, self.patience = run, ema, best, total, patience
        self.rows = ShardDataset([validation]) if validation else None
        if self.rows:
            initial = {"validation_miou": 0.0, "best_miou": 0.0, "best_error": 0.0, "since_best": 0}
            run.extra_metrics = initial | run.extra_metrics

    def update(self, step: int) -> None:
        """Validates after each tenth of the steps and after the last; call it after every step."""
        if step + 1 != self.total and (step + 1) % max(self.total // VALIDATIONS, 1):
            return
        if not self.rows:
            self.best.load_state_dict(self.ema.state_dict())
            return
        metrics = self.run.extra_metrics
        metrics["validation_miou"], standard_error = validate(self.ema, self.rows)
        if math.isnan(metrics["validation_miou"]):
            raise UserError(f"{self.rows.images[0]}: every mask is ignored completely; accepted: labelled portraits")
        if metrics["validation_miou"] > metrics["best_miou"]:
            metrics |= {"best_miou": metrics["validation_miou"], "best_error": standard_error}
        metrics["since_best"] += 1
        if metrics["validation_miou"] >= metrics["best_miou"] - metrics["best_error"]:
            self.best.load_state_dict(self.ema.state_dict())
            metrics["since_best"] = 0
        if metrics["since_best"] >= self.patience and step + 1 < self.total:
            log.info(
                "%s: stops early: validation mIoU was %.3f, not near it since", self.run.name, metrics["best_miou"]
            )
            self.run.stop_requested = True


@torch.no_grad()
def validate(unet: nn.Module, rows: ShardDataset) -> tuple[float, float]:
    """The mean IoU over the classes, on the pixels of all rows together, and its standard error.

    The standard error is that of the mean of the mIoUs of single portraits; infinite for a single portrait, whose
    scatter is unknown.
    """
    device = next(unet.parameters()).device
    matrices = []
    for pixels, truth in rows:
        logits = unet(pixels[None].to(device).float() / 255)
        matrices.append(confusion(logits.argmax(1)[0].cpu().numpy(), truth.numpy(), logits.shape[1]))
    mious = [np.nanmean(iou(matrix)) for matrix in matrices if matrix.any()]  # a mask may be ignored completely
    standard_error = float(np.std(mious, ddof=1) / math.sqrt(len(mious))) if len(mious) > 1 else math.inf
    return float(np.nanmean(iou(np.sum(matrices, axis=0)))), standard_error
