"""Cross-entropy plus Dice, and class weights."""

import pytest
import torch
from helpers.scenes import THREE

from facemill.data.classes import IGNORE, SEVEN
from facemill.networks.segmentation_losses import class_weights, cross_entropy_dice


def test_dice_and_entropy_fall_with_the_right_answer():
    target = torch.randint(0, 7, (2, 8, 8))
    right = torch.nn.functional.one_hot(target, 7).permute(0, 3, 1, 2).float()
    assert cross_entropy_dice(20 * right, target, IGNORE) < 1e-3
    assert cross_entropy_dice(-20 * right, target, IGNORE) > 2


def test_the_loss_is_that_of_isensee_et_al():
    torch.manual_seed(0)
    logits, target = torch.randn(2, 3, 8, 8), torch.randint(0, 3, (2, 8, 8))
    u, v = logits.softmax(1), torch.nn.functional.one_hot(target, 3).permute(0, 3, 1, 2)
    dice = [2 * (u[:, k] * v[:, k]).sum() / (u[:, k].sum() + v[:, k].sum()) for k in range(3)]
    expected = torch.nn.functional.cross_entropy(logits, target) + 1 - sum(dice) / 3
    assert cross_entropy_dice(logits, target, IGNORE) == pytest.approx(float(expected))


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


def test_class_weights_raise_the_cost_of_their_mistakes():
    logits, target = torch.zeros(1, 7, 4, 4), torch.zeros(1, 4, 4, dtype=torch.int64)
    target[:, :2] = 4
    logits[:, 0] = 3  # background everywhere: the mouth is wrong
    weights = class_weights({"mouth": 5}, SEVEN)
    uniform, weighted = (cross_entropy_dice(logits, target, IGNORE, w) for w in (None, weights))
    right, wrong = (-logits.log_softmax(1)[0, c, 0, 0] for c in (0, 4))
    assert uniform - weighted == pytest.approx(float((right + wrong) / 2 - (right + 5 * wrong) / 6), abs=1e-5)


def test_a_class_without_pixels_counts_in_no_loss():
    target = torch.zeros(1, 8, 8, dtype=torch.long)
    loss = cross_entropy_dice(torch.randn(1, 3, 8, 8), target, IGNORE, class_weights({"hat": 3}, THREE))
    assert torch.isfinite(loss)
