"""SPADE against its equation, the networks' shapes, the losses' values, spectral norm baked in."""

import torch
from torch.nn import functional as F

from facemill.data.classes import IGNORE
from facemill.networks.spade import (
    Discriminator,
    Generator,
    Spade,
    add_spectral_norm,
    feature_matching_loss,
    hinge_loss_discriminator,
    hinge_loss_generator,
    one_hot,
    remove_spectral_norm,
)
from facemill.networks.spade_neighborhoods import neighborhoods


def test_one_hot_leaves_ignored_pixels_empty():
    encoded = one_hot(torch.tensor([[[0, 6], [IGNORE, 3]]], dtype=torch.uint8))
    assert encoded.shape == (1, 7, 2, 2)
    assert encoded.sum(1).tolist() == [[[1, 1], [0, 1]]]
    assert encoded[0, 6, 0, 1] == 1


def test_spade_is_equation_1():
    torch.manual_seed(0)
    spade, x, mask = Spade(4, 7, 5), torch.randn(2, 4, 6, 6) * 3 + 1, one_hot(torch.randint(0, 7, (2, 6, 6)))
    scale, shift = spade.scale_shift(F.relu(spade.shared[0](mask))).split(4, 1)
    mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True, unbiased=False)
    wanted = (x - mean) / (variance + spade.norm.eps).sqrt() * (1 + scale) + shift
    assert torch.allclose(spade(x, mask), wanted, atol=1e-5)
    spade.eval()
    wanted = spade.norm(x) * (1 + scale) + shift
    assert torch.allclose(spade(x, mask), wanted, atol=1e-5)


def test_distinct_neighborhoods_give_the_dense_modulation():
    torch.manual_seed(0)
    masks = torch.zeros(3, 40, 52, dtype=torch.uint8)
    masks[0, 10:30, 5:25], masks[0, 12:14, 7:9], masks[1, :, 50:], masks[1, 0, 0] = 3, IGNORE, 6, 2
    masks[2] = torch.randint(0, 7, (40, 52))
    spade, x = Spade(4, 7, 5), torch.randn(3, 4, 40, 52)
    found = neighborhoods(masks, 7)
    assert len(found.one_hot) < masks.numel()
    dense, sparse = spade(x, one_hot(masks)), spade(x, found)
    assert torch.allclose(dense, sparse, atol=1e-6)
    of = [torch.autograd.grad(y.square().sum(), spade.shared[0].weight)[0] for y in (dense, sparse)]
    assert torch.allclose(*of, rtol=1e-4, atol=1e-2)
    spade.eval()
    assert torch.allclose(spade(x, one_hot(masks)), spade(x, found), atol=1e-6)


def test_masks_of_noise_have_no_neighborhoods_worth_finding():
    assert neighborhoods(torch.randint(0, 7, (4, 128, 128)), 7) is None


def test_generator_and_discriminator_shapes():
    generator, discriminator = Generator(size=64, z_dim=6, width=4, hidden=8), Discriminator(width=4)
    masks = torch.randint(0, 7, (2, 64, 64))
    image = generator(masks, torch.randn(2, 6))
    assert image.shape == (2, 3, 64, 64) and image.abs().max() <= 1
    features = discriminator(image, one_hot(masks))
    assert [len(scale) for scale in features] == [5, 5]
    assert features[0][0].shape[2] == 2 * features[1][0].shape[2]


def test_generator_obeys_mask_and_style():
    torch.manual_seed(0)
    generator = Generator(size=32, z_dim=6, width=4, hidden=8)
    mask, z = torch.randint(0, 7, (2, 32, 32)), torch.randn(2, 6)
    image = generator(mask, z)
    assert not torch.allclose(image, generator(mask.flip(2), z))
    assert not torch.allclose(image, generator(mask, -z))


def test_hinge_losses():
    real, fake = [[torch.tensor([2.0, 0.5])]], [[torch.tensor([-3.0, 0.0])]]
    assert hinge_loss_discriminator(real, fake) == (0.25 + 0.5) / 2
    assert hinge_loss_generator(fake) == 1.5


def test_feature_matching_leaves_the_logits_out():
    real = [[torch.zeros(4), torch.ones(4), torch.full((4,), 9.0)]]
    fake = [[torch.ones(4), torch.ones(4), torch.zeros(4)]]
    assert feature_matching_loss(real, fake) == 1


def test_spectral_norm_bounds_weights_and_is_baked_in():
    torch.manual_seed(0)
    generator = Generator(size=32, z_dim=6, width=4, hidden=8)
    names = set(generator.state_dict())
    add_spectral_norm(generator)
    mask, z = torch.randint(0, 7, (2, 32, 32)), torch.randn(2, 6)
    for _ in range(20):
        generator(mask, z)
    generator.eval()
    before = generator(mask, z)
    remove_spectral_norm(generator)
    assert set(generator.state_dict()) == names
    assert torch.allclose(generator(mask, z), before, atol=1e-6)
    for block in generator.blocks:
        assert abs(torch.linalg.matrix_norm(block.conv_0.weight.flatten(1), 2) - 1) < 0.1
