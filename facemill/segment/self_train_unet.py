"""Self-training: a new U-Net learns from labelled portraits, and from what a trained one is sure of in unlabelled ones.

As in Noisy Student of Xie et al. 2020 (https://arxiv.org/abs/1911.04252) the student begins anew and sees harder views
than its teacher: the teacher labels a portrait, mirrored or not; the student must say the same of it with its colors
changed, blurred, and a box of it replaced by another portrait's (CutMix, Yun et al. 2019,
https://arxiv.org/abs/1905.04899), where the teacher is sure. These views, and that rule, are FixMatch's (Sohn et al.
2020, https://arxiv.org/abs/2001.07685) for pixels, as in UniMatch of Yang et al. 2023
(https://arxiv.org/abs/2208.09910). The student's moving average (Tarvainen and Valpola 2017,
https://arxiv.org/abs/1703.01780) is a second teacher, whose weight grows from 0 to that of the first.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from facemill.config.segment import SelfTrainingConfig, UnetTrainConfig
from facemill.data.classes import IGNORE, SEVEN
from facemill.data.dataset import ShardDataset, train_loader
from facemill.data.shards import read_rows
from facemill.errors import UserError
from facemill.inference.segmenter import flip_tta_logits
from facemill.networks.segmentation_losses import class_weights, cross_entropy_dice
from facemill.networks.store import load_model, save_model
from facemill.networks.unet import Unet
from facemill.segment.train_unet import EarlyStopping, new_unet
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

COLOR = v2.Compose(
    [
        v2.RandomApply([v2.ColorJitter(0.5, 0.5, 0.5, 0.25)], p=0.8),
        v2.RandomGrayscale(p=0.2),
        v2.RandomApply([v2.GaussianBlur(9, (0.1, 2.0))], p=0.5),
    ]
)
"""UniMatch's strong view of an image, float32 (3, H, W) in [0, 1]."""

BOX = (0.1, 0.4)
"""Least and largest share of a portrait that CutMix replaces."""


def self_train_unet(
    settings: SelfTrainingConfig,
    unet_settings: UnetTrainConfig,
    *,
    teacher: Path,
    size: int,
    seed: int,
    train: Sequence[Path],
    validation: Sequence[Path],
    portraits: Sequence[Path],
    labelled: Sequence[Path],
    model: Path,
    curves: Path,
) -> None:
    """Trains a U-Net that `teacher` shows `portraits`, but for the `labelled` ones; writes the best EMA weights.

    Half of each step's images are augmented labelled ones of the `train` shards, half unlabelled ones; both losses are
    cross-entropy plus Dice and weigh the same, that of the unlabelled times the share of pixels that are believed.
    """
    torch.manual_seed(seed)
    unet, arguments = new_unet(unet_settings, size)
    accelerate = accelerator()
    sees = load_model(Unet, teacher)
    rate, images, batch = settings.training.learning_rate, settings.training.images, settings.training.batch
    optimizer = torch.optim.AdamW(unet.parameters(), rate, weight_decay=1e-2, fused=True)
    ema, best = (ema_of(unet).to(accelerate.device) for _ in range(2))
    plain, unet, optimizer = unet, prepared(accelerate, unet), accelerate.prepare(optimizer)
    hashed = {"seed": seed, "self_training": settings.model_dump(mode="json")} | unet_settings.model_dump(mode="json")
    modules = {"unet": plain, "ema": ema, "best": best}
    inputs = [teacher, *train, *validation, *portraits, *labelled]
    run = Run("unet-v4", hashed, inputs, modules, {"adamw": optimizer.optimizer})

    known = {row["id"] for row in read_rows(labelled, ["id"])}
    unlabelled = ShardDataset(portraits, keep=lambda id: id not in known)
    if not len(unlabelled):
        raise UserError("self_training: every portrait is labelled, none is left to learn from; accepted: null")
    total = math.ceil(images / batch)
    pairs = accelerate.prepare(train_loader(ShardDataset(train), batch, seed, run.step))
    more = accelerate.prepare(train_loader(unlabelled, batch, seed, run.step))
    weights = class_weights(unet_settings.class_weights, SEVEN).to(accelerate.device)
    watch = EarlyStopping(run, ema, best, validation, total, unet_settings.patience)
    for step, (pixels, masks), extra in zip(run.steps(images, batch, seed), pairs, more, strict=False):
        set_rate(optimizer, rate * warm_cosine(step, total))
        weak = mirror_some(extra.float() / 255)
        with accelerate.autocast():
            target = believed([(sees, 1), (ema, step / total)], weak, settings.confidence)
        strong, target = cut_mix(torch.stack([COLOR(image) for image in weak]), target)
        logits = unet(torch.cat([pixels.float() / 255, strong]))
        supervised = cross_entropy_dice(logits[: len(pixels)], masks.long(), IGNORE, weights)
        sure = (target != IGNORE).float().mean()
        consistency = sure * cross_entropy_dice(logits[len(pixels) :], target, IGNORE) if sure else 0 * logits.sum()
        accelerate.backward((supervised + consistency) / 2)
        average_gradients(plain, accelerate)
        optimizer.step()
        optimizer.zero_grad()
        update_ema(ema, plain, rising_decay(step))
        watch.look(step)
        run.record(supervised=supervised, consistency=consistency, sure=sure)
    if accelerate.is_main_process:
        save_model(model, best, arguments, hashed, SEVEN)
        run.finish(curves)


def mirror_some(images: Tensor) -> Tensor:
    """The weak view of images (B, 3, H, W): each is mirrored or not, at even odds."""
    mirror = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
    return torch.where(mirror, images.flip(3), images)


@torch.no_grad()
def believed(teachers: Sequence[tuple[nn.Module, float]], images: Tensor, confidence: float) -> Tensor:
    """The classes, int64 (B, H, W), that the teachers see in images (B, 3, H, W) in [0, 1]; IGNORE where less sure.

    A teacher is a U-Net and the weight of its probabilities.
    """
    total = sum(weight * flip_tta_logits(unet, images).softmax(1) for unet, weight in teachers)
    probability, classes = (total / sum(weight for _, weight in teachers)).max(1)
    return classes.where(probability >= confidence, IGNORE)


def cut_mix(images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """A box of each image, and of its target, replaced by the same box of the next one's; the sizes are kept.

    `images` (B, C, H, W), `targets` (B, H, W). Boxes have the image's shape and a share of its area within `BOX`.
    """
    _, height, width = targets.shape
    inside = torch.zeros_like(targets, dtype=torch.bool)
    for box in inside:
        side = math.sqrt(BOX[0] + (BOX[1] - BOX[0]) * float(torch.rand(())))
        h, w = round(side * height), round(side * width)
        top, left = (int(torch.randint(0, n + 1, ())) for n in (height - h, width - w))
        box[top : top + h, left : left + w] = True
    return torch.where(inside[:, None], images.roll(1, 0), images), torch.where(inside, targets.roll(1, 0), targets)
