"""The values of the losses of a discriminator that segments."""

import math

import pytest
import torch
from torch.nn import functional as F

from facemill.data.classes import IGNORE
from facemill.networks.segmentation_gan_losses import (
    balancing_weights,
    class_loss,
    fake_loss,
    label_mix,
    label_mix_loss,
    random_mix,
)
from facemill.networks.spade import one_hot

PROBABILITIES = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])
"""Of two pixels: of two classes, and of "fake"."""
LOGITS = PROBABILITIES.log().T[None, :, None]
MASK = one_hot(torch.tensor([[[0, 1]]]), 2)
UNLABELLED = one_hot(torch.tensor([[[0, IGNORE]]]), 2)


def test_rare_classes_weigh_more_and_missing_ones_nothing():
    weights = balancing_weights(torch.tensor([0.5, 0.25, 0, 0.25]))
    assert weights.tolist() == pytest.approx([2 / 3, 4 / 3, 0, 4 / 3])
    assert balancing_weights(torch.zeros(2)).tolist() == [0, 0]  # a batch without labels


def test_cross_entropy_to_classes():
    weights = torch.tensor([1.0, 0.5])
    expected = -(math.log(0.5) + 0.5 * math.log(0.2)) / 2
    assert class_loss(LOGITS, MASK, weights).item() == pytest.approx(expected)
    assert class_loss(LOGITS, UNLABELLED, weights).item() == pytest.approx(-math.log(0.5) / 2)


def test_cross_entropy_to_fake():
    assert fake_loss(LOGITS, MASK).item() == pytest.approx(-(math.log(0.2) + math.log(0.7)) / 2)
    assert fake_loss(LOGITS, UNLABELLED).item() == pytest.approx(-math.log(0.2) / 2)


def test_with_balancing_weights_each_class_has_the_same_share_of_the_loss():
    torch.manual_seed(0)
    masks, logits = torch.randint(0, 9, (2, 8, 8)).clamp(max=2), torch.randn(2, 4, 8, 8)
    mask = one_hot(masks, 3)
    pixels = F.cross_entropy(logits, masks, reduction="none")
    expected = torch.stack([pixels[masks == c].mean() for c in range(3)]).mean()
    loss = class_loss(logits, mask, balancing_weights(mask.mean((0, 2, 3))))
    assert loss.item() == pytest.approx(expected.item())


def test_label_mix_takes_whole_classes():
    torch.manual_seed(0)
    masks = torch.randint(0, 3, (20, 8, 8))
    masks[:, 0] = IGNORE
    mix = random_mix(one_hot(masks, 3))[:, 0]
    assert mix.shape == masks.shape and set(mix.unique().tolist()) == {0, 1}
    values = [{*mix[i][masks[i] == c].tolist()} for i in range(20) for c in range(3)]
    assert all(len(value) == 1 for value in values) and {0} in values and {1} in values
    mixed = label_mix(torch.ones(20, 3, 8, 8), torch.zeros(20, 3, 8, 8), mix[:, None])
    assert torch.equal(mixed, mix[:, None].expand(-1, 3, -1, -1))


def test_label_mix_loss_is_the_mean_square_of_what_logits_differ_by():
    mixed, real, fake = torch.zeros(1, 3, 1, 2), torch.full((1, 3, 1, 2), 2.0), torch.full((1, 3, 1, 2), 4.0)
    mix = torch.tensor([1.0, 0.0]).view(1, 1, 1, 2)
    assert label_mix_loss(mixed, real, fake, mix, MASK) == (4 + 16) / 2
    assert label_mix_loss(mixed, real, fake, mix, UNLABELLED) == 4 / 2
    assert label_mix_loss(label_mix(real, fake, mix), real, fake, mix, MASK) == 0
