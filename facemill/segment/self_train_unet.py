"""Self-training of a U-Net on labelled portraits and on a teacher's confident pseudo-labels of unlabelled ones.

As in Noisy Student (Xie et al. 2020, https://arxiv.org/abs/1911.04252) the student starts from scratch and gets harder
views than its teacher. The views and the confidence threshold are those of FixMatch (Sohn et al. 2020,
https://arxiv.org/abs/2001.07685), for pixels as in UniMatch (Yang et al. 2023, https://arxiv.org/abs/2208.09910): the
teacher's pseudo-labels of a weakly augmented portrait (flipped or not) are the student's targets for a strongly
augmented one (colors, blur, CutMix of Yun et al. 2019, https://arxiv.org/abs/1905.04899). The student's own EMA is a
second teacher (mean teacher of Tarvainen and Valpola 2017, https://arxiv.org/abs/1703.01780), whose weight grows from
0 to that of the first.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from facemill.config.segment import SelfTrainingConfig, UnetTrainConfig
from facemill.data.classes import IGNORE
from facemill.data.dataset import ShardDataset, train_loader
from facemill.data.names import image_of
from facemill.data.shards import mask_classes, read_rows
from facemill.errors import UserError
from facemill.inference.segmenter import flip_tta_logits
from facemill.networks.diff_augment import box_masks
from facemill.networks.segmentation_losses import class_weights, cross_entropy_dice
from facemill.networks.store import load_model, save_model
from facemill.networks.unet import Unet
from facemill.segment.train_unet import EarlyStopping, build_learner
from facemill.training.optimization import make_accelerator, make_ema
from facemill.training.run import Run

STRONG_AUGMENT = v2.Compose(
    [
        v2.RandomApply([v2.ColorJitter(0.5, 0.5, 0.5, 0.25)], p=0.8),
        v2.RandomGrayscale(p=0.2),
        v2.RandomApply([v2.GaussianBlur(9, (0.1, 2.0))], p=0.5),
    ]
)
"""UniMatch's strong augmentation of an image, float32 (3, H, W) in [0, 1]; CutMix comes after it."""

BOX = (0.1, 0.4)
"""Smallest and largest share of a portrait that CutMix replaces."""


def self_train_unet(
    *,
    settings: SelfTrainingConfig,
    unet_settings: UnetTrainConfig,
    teacher: Path,
    size: int,
    seed: int,
    train: Path,
    validation: Path,
    portraits: list[Path],
    labelled: list[Path],
    model: Path,
    curves: Path,
) -> None:
    """Trains a U-Net on labels and on a teacher's confident pseudo-labels; the same command resumes a killed run.

    Half of each step's images are labelled, half unlabelled; both halves' losses, cross-entropy plus Dice, have the
    same weight, the latter times the mask ratio. The EMA weights with the best validation are written.

    Args:
        settings: the section `self_training`.
        unet_settings: how the teacher was built and trained; the student is built the same way.
        teacher: the teacher, a finished U-Net.
        size: side of the portraits in pixels.
        seed: seed of weights, order and augmentation.
        train: shard of augmented labelled portraits.
        validation: shard of the validation portraits.
        portraits: shards of the collection.
        labelled: shards of all labelled portraits, whose images are left out of the collection.
        model: the trained U-Net, a safetensors file.
        curves: CSV of losses, mask ratio (share of confident pixels) and validation mIoU.
    """
    torch.manual_seed(seed)
    accelerator = make_accelerator()
    classes = mask_classes([train, validation])
    learner, init_kwargs = build_learner(accelerator, unet_settings, settings.training, size, len(classes))
    teacher_net, best = load_model(Unet, teacher, classes), make_ema(learner.ema)
    further = {"seed": seed, "self_training": settings.model_dump(mode="json")}
    settings_key = unet_settings.model_dump(mode="json") | further
    inputs = [teacher, train, validation, *portraits, *labelled]
    run = Run("unet-v4", settings_key, inputs, {"unet": learner}, {"best": best})

    images, batch, total = settings.training.images, settings.training.batch, settings.training.steps
    early_stopping = EarlyStopping(run, learner.ema, best, validation, total, unet_settings.patience)
    weights = class_weights(unet_settings.class_weights, classes).to(accelerator.device)
    sources = ShardDataset([train]), unlabelled_rows(portraits, labelled, "self_training")
    batches = (accelerator.prepare(train_loader(rows, batch, seed, run.step)) for rows in sources)
    steps = run.steps(images, batch, seed)
    for step, (pixels, masks), weak in zip(steps, *batches, strict=False):
        teachers: list[tuple[nn.Module, float]] = [(teacher_net, 1), (learner.ema, step / total)]
        strong, targets = augmented_targets(teachers, weak.float() / 255, settings.confidence)
        logits = learner.net(torch.cat([pixels.float() / 255, strong]))
        supervised = cross_entropy_dice(logits[: len(pixels)], masks.long(), IGNORE, weights)
        consistency, mask_ratio = consistency_loss(logits[len(pixels) :], targets)
        learner.step((supervised + consistency) / 2, step)
        early_stopping.update(step)
        run.record(supervised=supervised, consistency=consistency, mask_ratio=mask_ratio)
    if accelerator.is_main_process:
        save_model(model, best, init_kwargs, settings_key, classes)
        run.finish(curves)


def unlabelled_rows(portraits: Sequence[Path], labelled: Sequence[Path], section: str) -> ShardDataset:
    """The portraits of whose images none is labelled. Raises `UserError`, for a section, when there are none."""
    labelled_images = {image_of(row["id"]) for row in read_rows(labelled, ["id"])}
    rows = ShardDataset(portraits, keep=lambda row_id: image_of(row_id) not in labelled_images)
    if not len(rows):
        raise UserError(f"{section}: every portrait is labelled, none is left to learn from; accepted: null")
    return rows


def augmented_targets(
    teachers: Sequence[tuple[nn.Module, float]], images: Tensor, confidence: float
) -> tuple[Tensor, Tensor]:
    """Strongly augmented images, and their targets: the pseudo-labels of the weakly augmented ones.

    The arguments are those of `pseudo_targets`; so are the shapes.
    """
    weak = weak_augment(images)
    targets = pseudo_targets(teachers, weak, confidence)
    return cut_mix(torch.stack([STRONG_AUGMENT(image) for image in weak]), targets)


def consistency_loss(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy plus Dice on the confident pixels, times their share, the mask ratio; and the mask ratio."""
    mask_ratio = (targets != IGNORE).float().mean()
    loss = cross_entropy_dice(logits, targets, IGNORE).nan_to_num()  # without any target: 0, as the gradient then is
    return mask_ratio * loss, mask_ratio


def weak_augment(images: Tensor) -> Tensor:
    """Images (B, 3, H, W), each flipped horizontally with probability 0.5."""
    flip = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
    return torch.where(flip, images.flip(3), images)


@torch.no_grad()
def pseudo_targets(teachers: Sequence[tuple[nn.Module, float]], images: Tensor, confidence: float) -> Tensor:
    """Pseudo-labels of images, int64 (B, H, W): class ids, and IGNORE where the probability is below `confidence`.

    Args:
        teachers: U-Nets, each with the weight of its probabilities in the mean.
        images: float32 (B, 3, H, W) in [0, 1].
        confidence: threshold of the mean probability, which is computed with horizontal-flip TTA.
    """
    probs = sum((weight * flip_tta_logits(unet, images).softmax(1) for unet, weight in teachers), torch.zeros(()))
    confidences, targets = (probs / sum(weight for _, weight in teachers)).max(1)
    return targets.where(confidences >= confidence, IGNORE)


def cut_mix(images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """CutMix: a box of each image and target is replaced by that of the image and target before it in the batch.

    Boxes have the image's aspect ratio and a share of its area within `BOX`.

    Args:
        images: (B, C, H, W).
        targets: class ids, (B, H, W).
    """
    batch, height, width = targets.shape
    sides = (BOX[0] + (BOX[1] - BOX[0]) * torch.rand(batch, device=targets.device)).sqrt()
    heights, widths = ((sides * side).round().long() for side in (height, width))
    top, left = (
        (torch.rand(batch, device=targets.device) * (side - lengths + 1)).long()
        for side, lengths in ((height, heights), (width, widths))
    )
    boxes = box_masks(top, left, heights, widths, height, width)
    return torch.where(boxes[:, None], images.roll(1, 0), images), torch.where(boxes, targets.roll(1, 0), targets)
