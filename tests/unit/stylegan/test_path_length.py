"""Path lengths against their closed forms, and midpoints."""

import numpy as np
import pytest
import torch

from facemill.inference.sampler import Sampler
from facemill.networks.stylegan2 import StyleGenerator
from facemill.stylegan.path_length import STEP, midpoints, painted, path_lengths, slerp

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


def test_codes_go_along_the_arc_at_constant_speed():
    a, b = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(0)).unbind()
    whole = torch.nn.functional.cosine_similarity(a, b).acos()
    for start in (0.0, 0.1, 0.5, 0.9):
        ends = [slerp(3 * a, b, torch.full((5, 1), t)) for t in (start, start + 0.1)]
        for end in ends:
            torch.testing.assert_close(end.norm(dim=1), torch.ones(5))
        torch.testing.assert_close((ends[0] * ends[1]).sum(1).acos(), whole / 10, rtol=1e-3, atol=0)
    torch.testing.assert_close(slerp(a, b, torch.ones(5, 1)), torch.nn.functional.normalize(b))
    torch.testing.assert_close(slerp(a, a, torch.ones(5, 1)), torch.nn.functional.normalize(a), atol=1e-3, rtol=0)


def test_the_way_between_codes_is_that_arc(sampler):
    passed = []
    observed = Sampler(sampler.generator)
    observed.styles = lambda codes, slots: passed.append(codes) or sampler.styles(codes, slots)
    path_lengths(observed, lambda images: images.flatten(1), PAIRS)
    z, other_z, first, second = passed[:4]
    angle = torch.nn.functional.cosine_similarity(z, other_z).acos()
    torch.testing.assert_close((second - first).norm(dim=1), STEP * angle, rtol=5e-3, atol=0)


def test_midpoints_lie_between_the_portraits_of_their_pair(sampler):
    z, other_z = ends(sampler)
    slots = sampler.slots(range(PAIRS))
    w, other_w = sampler.styles(z, slots), sampler.styles(other_z, slots)
    between = midpoints(sampler, PAIRS)
    assert np.array_equal(between["w"], sampler.generate((w + other_w) / 2))
    faded = (sampler.generate(w) / 2 + sampler.generate(other_w) / 2).round()
    assert np.array_equal(between["cross_fade"], faded)
