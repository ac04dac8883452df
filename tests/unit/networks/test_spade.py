"""SPADE against equation 1, fast against plain, the generator's shapes, spectral norm."""

import pytest
import torch
from torch.nn import functional as F

from facemill.data.classes import IGNORE
from facemill.networks.spade import Generator, Spade, add_spectral_norm, one_hot, remove_spectral_norm
from facemill.networks.spade_neighborhoods import Neighborhoods, neighborhoods


def test_one_hot_leaves_ignored_pixels_empty():
    encoded = one_hot(torch.tensor([[[0, 6], [IGNORE, 3]]], dtype=torch.uint8), 7)
    assert encoded.shape == (1, 7, 2, 2)
    assert encoded.sum(1).tolist() == [[[1, 1], [0, 1]]]
    assert encoded[0, 6, 0, 1] == 1 and encoded.dtype == torch.float32
    assert one_hot(torch.zeros(2, 4, 4), 7).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("folded", [True, False])
def test_spade_is_equation_1(folded):
    torch.manual_seed(0)
    spade, x, mask = Spade(4, 7, 5), torch.randn(2, 4, 6, 6) * 3 + 1, one_hot(torch.randint(0, 7, (2, 6, 6)), 7)
    spade.folded = folded
    gamma, beta = spade.scale_shift(F.relu(spade.shared[0](mask))).split(4, 1)
    mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True, unbiased=False)
    expected = (x - mean) / (variance + spade.norm.eps).sqrt() * (1 + gamma) + beta
    assert torch.allclose(spade(x, mask), expected, atol=1e-5)
    spade.eval()
    expected = spade.norm(x) * (1 + gamma) + beta
    assert torch.allclose(spade(x, mask), expected, atol=1e-5)


@pytest.mark.parametrize("classes", [7, 19])
def test_distinct_neighborhoods_give_the_dense_modulation(classes):
    torch.manual_seed(0)
    masks = torch.zeros(3, 40, 52, dtype=torch.uint8)
    masks[0, 10:30, 5:25], masks[0, 12:14, 7:9], masks[1, :, 50:], masks[1, 0, 0] = 3, IGNORE, classes - 1, 2
    masks[2] = torch.randint(0, 7, (40, 52))
    spade, x = Spade(4, classes, 5), torch.randn(3, 4, 40, 52)
    distinct, mask = neighborhoods(masks, classes), one_hot(masks, classes)
    assert len(distinct.one_hot) < masks.numel()
    dense, sparse = spade(x, mask), spade(x, distinct)
    assert torch.allclose(dense, sparse, atol=1e-6)
    gradients = [torch.autograd.grad(y.square().sum(), spade.shared[0].weight)[0] for y in (dense, sparse)]
    assert torch.allclose(*gradients, rtol=1e-4, atol=1e-2)
    spade.eval()
    assert torch.allclose(spade(x, mask), spade(x, distinct), atol=1e-6)


def test_gradients_of_a_uniform_background_are_right_in_bfloat16():
    torch.manual_seed(0)
    masks = torch.zeros(4, 64, 64, dtype=torch.uint8)
    masks[:, 20:50, 25:45] = 3
    spade, x, incoming = Spade(4, 7, 16), torch.randn(4, 4, 64, 64), torch.randn(4, 4, 64, 64) + 0.3
    dense, sparse = one_hot(masks, 7), neighborhoods(masks, 7)

    def gradient(layout, enabled: bool) -> tuple[torch.Tensor, torch.dtype]:
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            y = spade(x.bfloat16() if enabled else x, layout)
        gradients = torch.autograd.grad(y, spade.scale_shift.weight, incoming.to(y.dtype))
        return gradients[0], y.dtype

    exact, _ = gradient(dense, False)
    errors = []
    for layout in (dense, sparse):
        rounded, dtype = gradient(layout, True)
        assert dtype == torch.bfloat16
        errors.append(float((rounded - exact).norm() / exact.norm()))
    assert max(errors) < 0.02  # 0.6 where the rows of an embedding are added in bfloat16


def test_noise_has_no_neighborhoods():
    assert neighborhoods(torch.randint(0, 7, (4, 128, 128)), 7) is None


@pytest.mark.parametrize(
    ("ratio", "classes", "z", "z_dim"),
    [(1, 7, "encoder", 6), (2, 15, "normal", 6), (1, 19, "none", 0), (2, 15, "regions", 45)],
)
def test_generator_shapes(ratio, classes, z, z_dim):
    generator = Generator(size=64, ratio=ratio, z=z, z_dim=z_dim, ngf=4, nhidden=8, classes=classes)
    image = generator(torch.randint(0, classes, (2, 64, 64 // ratio)), torch.randn(2, z_dim))
    assert image.shape == (2, 3, 64, 64 // ratio) and image.abs().max() <= 1


@pytest.mark.parametrize(
    ("nhidden", "z", "folded"), [(8, 6, True), (64, 6, True), (64, 21, True), (8, 21, False), (8, 0, True)]
)
def test_styles_of_one_mask_in_turn_are_as_with_the_mask_repeated(nhidden, z, folded, monkeypatch):
    monkeypatch.setattr(Spade, "folded", folded)
    torch.manual_seed(0)
    kind = {0: "none", 6: "encoder", 21: "regions"}[z]
    generator = Generator(size=64, z=kind, z_dim=z, ngf=4, nhidden=nhidden, classes=7).eval()
    masks = torch.randint(0, 7, (2, 8, 8)).repeat_interleave(8, 1).repeat_interleave(8, 2)
    codes = torch.randn(6, z)
    expected = generator(masks.repeat_interleave(3, 0), codes)
    assert torch.allclose(generator(masks, codes), expected, atol=1e-5)


def test_large_modulations_use_distinct_neighborhoods():
    torch.manual_seed(0)
    generator = Generator(size=64, z_dim=6, ngf=4, nhidden=64, classes=7).eval()
    masks, z = torch.zeros(1, 64, 64, dtype=torch.uint8), torch.randn(1, 6)
    masks[:, 20:40, 10:50] = 5
    assert isinstance(generator._layout_at(masks, 64), Neighborhoods)
    assert not isinstance(generator._layout_at(masks, 32), Neighborhoods)
    sparse, generator.nhidden = generator(masks, z), 8
    assert torch.allclose(generator(masks, z), sparse, atol=1e-5)


def test_image_depends_on_mask_and_style():
    torch.manual_seed(0)
    generator = Generator(size=32, z_dim=6, ngf=4, nhidden=8, classes=7)
    mask, z = torch.randint(0, 7, (2, 32, 32)), torch.randn(2, 6)
    image = generator(mask, z)
    assert not torch.allclose(image, generator(mask.flip(2), z))
    assert not torch.allclose(image, generator(mask, -z))


def test_spectral_norm_bounds_weights_and_is_removed_into_them():
    torch.manual_seed(0)
    generator = Generator(size=32, z_dim=6, ngf=4, nhidden=8, classes=7)
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
