"""PatchNCE: numbers worked by hand, which layers are compared, what a place is."""

import math

import pytest
import torch
from torch.nn import functional as F

from facemill.networks.patch_nce import (
    TEMPERATURE,
    Projections,
    compared_layers,
    drawn_places,
    encoded,
    patch_nce,
    translated_and_encoded,
)
from facemill.networks.resnet_generator import PRESETS, ReflectedConv, ResidualBlock, ResnetGenerator


def test_the_loss_is_the_one_worked_by_hand():
    """Of two places whose vectors have the product .8, the own one is by e^(.2 / T) more likely than the other."""
    two = torch.tensor([[[1.0, 0], [0.8, 0.6]]])
    right = math.log(1 + math.exp(-0.2 / TEMPERATURE))
    wrong = math.log(1 + math.exp(0.2 / TEMPERATURE))
    assert patch_nce([two], [two]).tolist() == pytest.approx([right], rel=1e-4)
    assert patch_nce([two.flip(1)], [two]).tolist() == pytest.approx([wrong], rel=1e-4)
    same = torch.tensor([[[1.0, 0], [1, 0]]])
    assert patch_nce([same], [same]).tolist() == pytest.approx([math.log(2)], rel=1e-5)
    assert patch_nce([two, two.flip(1)], [two, two]).tolist() == pytest.approx([(right + wrong) / 2], rel=1e-4)


def test_places_are_told_among_those_of_their_own_image():
    one, other = (F.normalize(torch.randn(1, 5, 8, generator=torch.Generator().manual_seed(i)), dim=2) for i in (1, 2))
    both = patch_nce([torch.cat([one, other])], [torch.cat([other, one])])
    assert torch.allclose(both, torch.cat([patch_nce([one], [other]), patch_nce([other], [one])]))


def test_no_gradient_goes_through_keys():
    query, key = (torch.eye(2)[None].clone().requires_grad_() for _ in range(2))
    patch_nce([query], [key]).sum().backward()
    assert key.grad is None and query.grad.abs().max() > 0


@pytest.mark.parametrize(("preset", "chosen"), [("tiny", (0, 1)), ("small", (0, 2)), ("paper9", (0, 4))])
def test_both_halvings_the_first_and_the_middle_block_are_compared(preset, chosen):
    generator = ResnetGenerator(width=4, blocks=PRESETS[preset].blocks)
    halving, second, *blocks = [generator.layers[index] for index in compared_layers(generator)]
    assert [type(layer) for layer in (halving, second, *blocks)] == [ReflectedConv] * 2 + [ResidualBlock] * 2
    assert (halving.in_channels, second.in_channels) == (4, 8)
    all_blocks = [layer for layer in generator.layers if isinstance(layer, ResidualBlock)]
    assert [all_blocks.index(block) for block in blocks] == list(chosen)


def test_one_call_gives_the_translations_and_the_features_of_two():
    generator, images = ResnetGenerator(width=4, blocks=3), torch.rand(2, 3, 16, 24) * 2 - 1
    translated, features = translated_and_encoded(generator, images)
    assert torch.equal(translated, generator(images))
    shapes = [(2, 3, 16, 24), (2, 8, 8, 12), *[(2, 16, 4, 6)] * 3]
    assert [tuple(of_layer.shape) for of_layer in features] == shapes
    assert all(torch.equal(a, b) for a, b in zip(features, encoded(generator, images), strict=True))


def test_a_place_s_vector_is_of_its_pixel_alone_and_no_place_is_drawn_twice():
    torch.manual_seed(0)
    features = [torch.randn(2, channels, 20, 16) for channels in (3, 8, 16, 16, 16)]
    projections, places = Projections(4), drawn_places(features)
    assert all(len(set(chosen.tolist())) == 256 and chosen.max() < 320 for chosen in places)
    vectors = projections(features, places)
    assert [tuple(of_layer.shape) for of_layer in vectors] == [(2, 256, 16)] * 5
    y, x = divmod(int(places[1][7]), 16)
    expected = F.normalize(projections.networks[1](features[1][1, :, y, x]), dim=0)
    assert torch.allclose(vectors[1][1, 7], expected, atol=1e-5)
    assert [len(chosen) for chosen in drawn_places([torch.zeros(1, 1, 4, 6)])] == [24]
