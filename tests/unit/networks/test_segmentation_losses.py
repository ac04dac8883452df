"""Cross-entropy plus Dice, and class weights."""

import torch
from helpers.scenes import THREE

from facemill.data.classes import IGNORE
from facemill.networks.segmentation_losses import class_weights, cross_entropy_dice


def test_dice_and_entropy_fall_with_the_right_answer():
    target = torch.randint(0, 7, (2, 8, 8))
    right = torch.nn.functional.one_hot(target, 7).permute(0, 3, 1, 2).float()
    assert cross_entropy_dice(20 * right, target, IGNORE) < 1e-3
    assert cross_entropy_dice(-20 * right, target, IGNORE) > 2


def test_ignored_pixels_change_nothing():
    torch.manual_seed(0)
    logits, target = torch.randn(1, 7, 8, 8), torch.randint(0, 7, (1, 8, 8))
    target[0, :2] = IGNORE
    other = logits.clone()
    other[0, :, :2] = 50 * torch.randn(7, 2, 8)
    assert torch.allclose(cross_entropy_dice(logits, target, IGNORE), cross_entropy_dice(other, target, IGNORE))


def test_class_weights_follow_the_tables_names():
    weights = class_weights({"hat": 3}, THREE)
    assert (weights.dtype, weights.tolist()) == (torch.float32, [1, 1, 3])


def test_a_class_without_pixels_counts_in_no_loss():
    target = torch.zeros(1, 8, 8, dtype=torch.long)
    loss = cross_entropy_dice(torch.randn(1, 3, 8, 8), target, IGNORE, class_weights({"hat": 3}, THREE))
    assert torch.isfinite(loss)
