"""Losses of semantic segmentation: cross-entropy with class weights, plus soft Dice."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from facemill.data.classes import ClassTable


def class_weights(weights: Mapping[str, float], classes: ClassTable) -> Tensor:
    """The weight of each class in the cross-entropy, float32 (classes,): 1 where `weights` does not name the class."""
    return torch.tensor([float(weights.get(name, 1)) for name in classes.names])


def cross_entropy_dice(logits: Tensor, target: Tensor, ignore: int, weights: Tensor | None = None) -> Tensor:
    """Cross-entropy plus one minus the mean soft Dice of the classes in the batch.

    This is the loss of Isensee et al. 2018 (https://arxiv.org/abs/1809.10486, "Training Procedure"), where Dice has no
    squares in the denominator.

    Args:
        logits: (B, C, H, W).
        target: class ids, int64 (B, H, W).
        ignore: the id of pixels that neither loss counts.
        weights: class weights (C,) of the cross-entropy, which is then a weighted mean; Dice weighs classes alike.
    """
    logits = logits.float()
    labelled = (target != ignore)[:, None]
    cross_entropy = F.cross_entropy(logits, target, weights, ignore_index=ignore)
    truth = target[:, None] == torch.arange(logits.shape[1], device=target.device).view(-1, 1, 1)
    probs = logits.softmax(1)
    intersection = (probs * truth).sum((0, 2, 3))
    pixels = truth.sum((0, 2, 3))
    total = (probs * labelled).sum((0, 2, 3)) + pixels
    dice = 2 * intersection / total.clamp(min=1)  # 0 for a class that is not in the batch
    return cross_entropy + 1 - dice.sum() / (pixels > 0).sum().clamp(min=1)
