"""CycleGAN's losses, of masks and of colors, against numbers worked by hand."""

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab

from facemill.networks.cyclegan_losses import color_loss, discriminator_loss, generator_loss, mask_loss, to_lab

IGNORE = 255


def test_least_squares_are_those_worked_by_hand():
    assert generator_loss(torch.tensor([1.0, 0.0, 3.0])).item() == pytest.approx((0 + 1 + 4) / 3)
    real, fake = torch.tensor([1.0, 0.5]), torch.tensor([0.0, 2.0])
    assert discriminator_loss(real, fake).item() == pytest.approx((0.125 + 2) / 2)


def test_the_loss_of_masks_is_the_cross_entropy_of_the_roles():
    """Of three classes two share the first role; the second has one; no class has the third."""
    members = torch.tensor([[True, True, False], [False, False, True], [False, False, False]])
    logits = torch.tensor([0.2, 0.3, 0.5]).log().view(1, 3, 1, 1).expand(1, 3, 1, 4)
    roles = torch.tensor([[[0, 1, 2, IGNORE]]], dtype=torch.uint8)
    assert mask_loss(logits, roles, members, IGNORE).item() == pytest.approx(np.log(2))
    nothing = torch.full((1, 1, 4), IGNORE, dtype=torch.uint8)
    assert mask_loss(logits, nothing, members, IGNORE).item() == 0


def test_the_loss_of_masks_pulls_toward_the_role():
    members = torch.eye(2, dtype=torch.bool)
    logits = torch.zeros(1, 2, 2, 2, requires_grad=True)
    mask_loss(logits, torch.ones(1, 2, 2, dtype=torch.uint8), members, IGNORE).backward()
    assert (logits.grad[:, 1] < 0).all() and (logits.grad[:, 0] > 0).all()


def test_the_loss_of_masks_pulls_as_much_where_the_unet_is_sure_of_another_role():
    members = torch.tensor([[True, True, False], [False, False, True], [False, False, False]])
    logits = torch.tensor([30.0, 0.0, 0.0]).view(1, 3, 1, 1).requires_grad_()
    loss = mask_loss(logits, torch.ones(1, 1, 1, dtype=torch.uint8), members, IGNORE)
    loss.backward()
    assert loss.item() == pytest.approx(30, rel=1e-4)
    assert logits.grad.flatten().tolist() == pytest.approx([1, 0, -1], abs=1e-4)


def test_lab_is_that_of_scikit_image():
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    images = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
    assert np.abs(to_lab(images)[0].permute(1, 2, 0).numpy() - rgb2lab(pixels)).max() < 0.01


def test_the_gradient_of_lab_is_finite_at_black_and_white():
    images = torch.tensor([-1.0, 1.0]).view(1, 1, 1, 2).repeat(1, 3, 1, 1).requires_grad_()
    to_lab(images).sum().backward()
    assert images.grad.isfinite().all()


def test_the_loss_of_colors_is_the_difference_of_means_in_regions():
    gray = torch.zeros(1, 3, 8, 8)
    bright = gray.clone()
    bright[..., :4, :] = 0.5
    upper, small = torch.zeros(2, 1, 1, 8, 8)
    upper[..., :4, :], small[..., 0, :4] = 1, 1
    change = (to_lab(bright)[0, :, 0, 0] - to_lab(gray)[0, :, 0, 0]).abs().mean().item() / 100
    assert color_loss(gray, bright, upper).item() == pytest.approx(change, rel=1e-4)
    assert color_loss(gray, bright, torch.cat([upper, 1 - upper], 1)).item() == pytest.approx(change / 2, rel=1e-4)
    assert color_loss(gray, bright, small).item() == 0
