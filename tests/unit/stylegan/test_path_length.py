"""Path lengths against their closed forms, and midpoints."""

import numpy as np
import pytest
import torch

from facemill.inference.sampler import Sampler
from facemill.networks.stylegan2 import StyleGenerator
from facemill.stylegan.path_length import midpoints, painted, path_lengths

PAIRS = 40


@pytest.fixture
def sampler():
    torch.manual_seed(0)
    generator = StyleGenerator(height=16, channels=[8, 8, 8], z_dim=6, w_dim=6, mapping=1)
    return Sampler(generator.eval())


def ends(sampler: Sampler) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes of the pairs."""
    return sampler.codes(range(0, 2 * PAIRS, 2)), sampler.codes(range(1, 2 * PAIRS, 2))


def test_a_cross_fade_goes_straight_so_its_length_is_that_of_the_difference(sampler):
    slots = sampler.slots(range(PAIRS))
    first, second = (painted(sampler, sampler.styles(z, slots)).flatten(1) for z in ends(sampler))
    lengths = path_lengths(sampler, lambda images: images.flatten(1), PAIRS)
    assert lengths["cross_fade"] == pytest.approx(float((first - second).square().sum(1).mean()), rel=1e-3)
    assert lengths["w"] > lengths["cross_fade"], "the straight line is the shortest"


def test_a_line_of_codes_passes_the_mapping_at_each_position(sampler):
    """The mapping normalizes codes: lines through the origin of z do not move, but at the origin."""
    lengths = path_lengths(sampler, lambda images: images.flatten(1), PAIRS)
    assert lengths["z"] != pytest.approx(lengths["w"], rel=1e-3)
    scaled = Sampler(sampler.generator)
    scaled.codes = lambda seeds: sampler.codes([0]).expand(len(seeds), -1) * (1 + torch.tensor(seeds)[:, None] % 2)
    still = path_lengths(scaled, lambda images: images.flatten(1), PAIRS)
    assert still["z"] == pytest.approx(0, abs=1e-3)


def test_midpoints_lie_between_the_portraits_of_their_pair(sampler):
    z, other_z = ends(sampler)
    slots = sampler.slots(range(PAIRS))
    w, other_w = sampler.styles(z, slots), sampler.styles(other_z, slots)
    between = midpoints(sampler, PAIRS)
    assert np.array_equal(between["w"], sampler.generate((w + other_w) / 2))
    faded = (sampler.generate(w) / 2 + sampler.generate(other_w) / 2).round()
    assert np.array_equal(between["cross_fade"], faded)
