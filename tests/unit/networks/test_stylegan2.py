"""StyleGAN2's generator: enlargement, the layers that a style reaches, mixing, truncation, rectangles, conditions."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from facemill.networks.style_layers import ModulatedConv, enlarged
from facemill.networks.stylegan2 import PRESETS, StyleGenerator

KWARGS = {"height": 32, "channels": [12, 10, 8, 6], "z_dim": 5, "w_dim": 7, "mapping": 2}
NAMES = {"hair_color": ["black_hair", "red_hair"], "smile": ["smile"]}


@pytest.fixture
def generator() -> StyleGenerator:
    torch.manual_seed(0)
    return StyleGenerator(**KWARGS).eval()


def inserted(x: Tensor) -> Tensor:
    """Zero insertion, then the papers' filter [1, 3, 3, 1]."""
    zeros = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
    zeros[:, :, ::2, ::2] = x
    row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
    kernel = (row[:, None] * row).expand(x.shape[1], 1, 4, 4)
    return F.conv2d(F.pad(zeros, (2, 1, 2, 1)), kernel, groups=x.shape[1])


def test_an_enlarged_layer_is_zero_insertion_and_filter_but_at_the_edges(generator):
    x, w = torch.randn(2, 12, 8, 8), torch.randn(2, 7)
    ours = generator.levels[1].convs[0]
    plain = ModulatedConv(12, 10, 7, noise=False)
    plain.load_state_dict(ours.state_dict())
    torch.testing.assert_close(ours(x, w), plain(enlarged(x), w), atol=1e-5, rtol=0)
    ours, papers = ours(x, w), plain(inserted(x), w)
    torch.testing.assert_close(ours[:, :, 3:-3, 3:-3], papers[:, :, 3:-3, 3:-3], atol=1e-5, rtol=0)
    assert (ours - papers).abs().max() > 1e-2  # at the edges


@pytest.mark.parametrize(("ratio", "height"), [(1, 32), (2, 64)])
def test_images_grow_from_a_constant_of_their_ratio(ratio, height):
    generator = StyleGenerator(**KWARGS | {"height": height, "ratio": ratio})
    assert generator.constant.shape == (1, 12, 4 * ratio, 4)
    images = generator(torch.randn(2, 5))
    assert images.shape == (2, 3, height, 32) and images.dtype == torch.float32
    assert generator.layers == 1 + 2 * 3 + 1
    assert generator.sides() == [(4 * ratio, 4)] + [(s * ratio, s) for s in (8, 8, 16, 16, 32, 32)]


def test_an_image_is_the_sum_of_what_its_levels_paint(generator):
    """Skips: each level's RGB, enlarged to the image's size; the lowest has one convolution, the others two."""
    styles, painted = torch.randn(2, 8, 7), []
    x = generator.constant.expand(2, -1, -1, -1)
    for index, level in enumerate(generator.levels):
        first = 2 * index - 1 if index else 0
        for offset, conv in enumerate(level.convs):
            x = conv(x, styles[:, first + offset])
            assert x.shape[2] == 4 * 2**index
        painted.append(level.to_rgb(x, styles[:, first + len(level.convs)]))
    expected = painted[0]
    for rgb in painted[1:]:
        expected = enlarged(expected) + rgb
    torch.testing.assert_close(generator.synthesize(styles), expected, atol=1e-5, rtol=1e-5)


def test_two_styles_meet_at_each_layer(generator):
    z, second = torch.randn(2, 2, 5)
    w = [generator.map(code) for code in (z, second)]
    for crossover in range(generator.layers + 1):
        layers = [w[int(layer >= crossover)] for layer in range(generator.layers)]
        mixed = generator(z, second=second, crossover=crossover)
        torch.testing.assert_close(mixed, generator.synthesize(torch.stack(layers, 1)), atol=1e-5, rtol=0)
    torch.testing.assert_close(mixed, generator(z), atol=1e-5, rtol=0)
    torch.testing.assert_close(generator(z, second=second), generator(second), atol=1e-5, rtol=0)


def test_every_layer_has_a_style_of_its_own(generator):
    styles = torch.randn(1, 1, 7).repeat(1, generator.layers, 1)
    before = generator.synthesize(styles)
    torch.testing.assert_close(generator.synthesize(styles[:, 0]), before, atol=1e-5, rtol=0)
    for layer in range(generator.layers):
        changed = styles.clone()
        changed[:, layer] += 1
        assert (generator.synthesize(changed) - before).abs().max() > 1e-3


def test_truncation_goes_from_the_center_to_the_style_itself(generator):
    generator.w_mean.normal_()
    w, center = torch.randn(3, 7), torch.randn(7)
    assert torch.equal(generator.truncated(w, 0), generator.w_mean.expand(3, -1))
    torch.testing.assert_close(generator.truncated(w, 1), w)
    torch.testing.assert_close(generator.truncated(w, 0.5), (w + generator.w_mean) / 2)
    torch.testing.assert_close(generator.truncated(w, 0.5, center), (w + center) / 2)
    images = generator.synthesize(generator.truncated(w, 0))
    torch.testing.assert_close(images, images[:1].expand_as(images), atol=1e-5, rtol=0)


def test_noise_is_added_where_there_is_any_and_follows_its_generator():
    torch.manual_seed(0)
    generator = StyleGenerator(**KWARGS | {"noise": True})
    noise, again = (generator.draw_noise(2, torch.Generator().manual_seed(3)) for _ in range(2))
    assert [n.shape[2:] for n in noise] == [torch.Size(side) for side in generator.sides()]
    assert all(torch.equal(a, b) for a, b in zip(noise, again, strict=True))
    w = torch.randn(2, 7)
    torch.testing.assert_close(generator.synthesize(w), generator.synthesize(w, noise), atol=1e-5, rtol=0)  # strength 0
    for level in generator.levels:
        for conv in level.convs:
            conv.noise_strength.data.fill_(0.1)
    assert not torch.allclose(generator.synthesize(w), generator.synthesize(w, noise))


def test_conditions_are_one_hot_vectors_of_slots_with_one_for_no_name(generator):
    assert generator.condition(torch.zeros(4, 0, dtype=torch.int64)) is None
    asked = StyleGenerator(**KWARGS, conditions=NAMES)
    assert asked.slots == [3, 2]
    vectors = asked.condition(torch.tensor([[0, 1], [2, 0]]))
    assert vectors.tolist() == [[1, 0, 0, 0, 1], [0, 0, 1, 1, 0]]
    z = torch.randn(1, 5).repeat(2, 1)
    images = asked(z, vectors)
    assert (images[0] - images[1]).abs().max() > 1e-3


def test_slots_are_drawn_in_the_shares_of_the_training():
    generator = StyleGenerator(**KWARGS, conditions=NAMES, combinations=3)
    generator.combinations.copy_(torch.tensor([[0, 0], [1, 1], [2, 0]]))
    generator.shares.copy_(torch.tensor([0.5, 0.0, 0.5]))
    drawn = generator.draw_slots(4000, torch.Generator().manual_seed(0))
    assert {tuple(row) for row in drawn.tolist()} == {(0, 0), (2, 0)}
    assert (drawn[:, 0] == 0).float().mean() == pytest.approx(0.5, abs=0.03)
    assert torch.equal(drawn, generator.draw_slots(4000, torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_channels_at_every_size(name):
    preset = PRESETS[name]
    for size in (16, 32, 64, 128, 256, 512):
        channels = preset.channels(size)
        assert len(channels) == math.log2(size) - 1 and min(channels) > 0
        assert channels == sorted(channels, reverse=True) and max(channels) <= preset.most
