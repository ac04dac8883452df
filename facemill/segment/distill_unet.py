"""Distillation of one or more U-Nets into v6, a U-Net of v3's size and speed.

Hinton et al. 2015 (https://arxiv.org/abs/1503.02531): the student learns the teachers' probabilities, soft labels,
here those of portraits that nobody labelled.
"""

from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from facemill.config.segment import DistillationConfig, UnetTrainConfig
from facemill.data.classes import IGNORE, ClassTable
from facemill.data.dataset import ShardDataset, sample_rows, train_loader
from facemill.data.shards import mask_classes
from facemill.inference.segmenter import flip_tta_logits
from facemill.networks.segmentation_losses import class_weights, cross_entropy_dice
from facemill.networks.store import load_model, save_model
from facemill.networks.unet import Unet
from facemill.segment.cached_rows import CachedRows, mirrored
from facemill.segment.self_train_unet import STRONG_AUGMENT, unlabelled_rows
from facemill.segment.train_unet import build_learner
from facemill.training.optimization import make_accelerator
from facemill.training.run import Run


def distill_unet(
    *,
    settings: DistillationConfig,
    unet_settings: UnetTrainConfig,
    teachers: list[Path],
    size: int,
    seed: int,
    train: list[Path],
    portraits: list[Path],
    labelled: list[Path],
    model: Path,
    curves: Path,
) -> None:
    """Trains v6 on labels and on its teachers' soft labels to the last step; the same command resumes a killed run.

    Half of each step's images are labelled, half unlabelled, with losses of the same weight. The soft labels of as many
    portraits as the student sees at most are computed once, as bytes, in the run's folder: 0.5 MB for one of 256 px.

    Args:
        settings: the section `distillation`.
        unet_settings: how v3 is built and trained; the student is built the same way.
        teachers: finished U-Nets.
        size: side of the portraits in pixels.
        seed: seed of weights, order and augmentation.
        train: shards of augmented labelled portraits, those that v3 was validated on, too.
        portraits: shards of the collection.
        labelled: shards of all labelled portraits, whose images are left out of the collection.
        model: the trained U-Net, a safetensors file.
        curves: CSV of the losses.
    """
    torch.manual_seed(seed)
    accelerator = make_accelerator()
    classes = mask_classes(train)
    learner, init_kwargs = build_learner(accelerator, unet_settings, settings.training, size, len(classes))
    settings_key = {"seed": seed, "unet": unet_settings.model_dump(mode="json"), **settings.model_dump(mode="json")}
    run = Run("unet-v6", settings_key, [*teachers, *train, *portraits, *labelled], {"unet": learner})

    images, batch = settings.training.images, settings.training.batch
    unlabelled = most_of(unlabelled_rows(portraits, labelled, "distillation"), images)
    unlabelled.compute(run.folder / "soft_labels.npy", partial(soft_labels, loaded(teachers, classes)))
    weights = class_weights(unet_settings.class_weights, classes).to(accelerator.device)
    loaders = [train_loader(rows, batch, seed, run.step) for rows in (ShardDataset(train), unlabelled)]
    steps, batches = run.steps(images, batch, seed), accelerator.prepare(*loaders)
    for step, (pixels, masks), taught in zip(steps, *batches, strict=False):
        strong, soft = student_view(taught)
        logits, student = learner.net(torch.cat([pixels.float() / 255, strong])).split([len(pixels), len(strong)])
        supervised = cross_entropy_dice(logits, masks.long(), IGNORE, weights)
        distillation = soft_cross_entropy(student, soft)
        learner.step((supervised + distillation) / 2, step)
        run.record(supervised=supervised, distillation=distillation)
    if accelerator.is_main_process:
        save_model(model, learner.ema, init_kwargs, settings_key, classes)
        run.finish(curves)
        (run.folder / "soft_labels.npy").unlink(missing_ok=True)


def loaded(teachers: list[Path], classes: ClassTable) -> list[Unet]:
    """The teachers. Raises `UserError` when one has other classes."""
    return [load_model(Unet, teacher, classes) for teacher in teachers]


def most_of(rows: ShardDataset, most: int) -> CachedRows:
    """At most `most` of the rows, from evenly spaced row groups."""
    chosen = {rows.ids[index] for index in sample_rows(rows, most)}
    return CachedRows(rows.images, keep=chosen.__contains__)


@torch.no_grad()
def soft_labels(teachers: list[Unet], images: Tensor) -> Tensor:
    """The teachers' mean probabilities with horizontal-flip TTA, in 255ths: uint8 (B, classes, H, W)."""
    probs = torch.stack([flip_tta_logits(teacher, images).softmax(1) for teacher in teachers]).mean(0)
    return (255 * probs).round().byte()


def student_view(batch: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Images, float32 in [0, 1], mirrored or not and strongly augmented, and their soft labels."""
    weak, soft = mirrored(batch)
    return torch.stack([STRONG_AUGMENT(image.float() / 255) for image in weak]), soft


def soft_cross_entropy(logits: Tensor, soft: Tensor) -> Tensor:
    """The mean over the pixels of the cross-entropy, in nats.

    Args:
        logits: float32 (B, classes, H, W).
        soft: probabilities in any unit, (B, classes, H, W).
    """
    soft = soft.float()
    return nn.functional.cross_entropy(logits, soft / soft.sum(1, keepdim=True))
