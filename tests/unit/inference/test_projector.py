"""Styles of given portraits: the generator's own are met, and styles stay where portraits are."""

import numpy as np
import pytest
import torch
from helpers.vgg import write_vgg

from facemill.inference.projector import CANDIDATES, Projector, Whitening
from facemill.inference.sampler import Sampler
from facemill.networks.stylegan2 import StyleGenerator
from facemill.networks.vgg import Lpips


@pytest.fixture(scope="module")
def sampler() -> Sampler:
    torch.manual_seed(0)
    generator = StyleGenerator(height=32, channels=[8] * 4, z_dim=8, w_dim=16, mapping=1)
    return Sampler(generator.eval().to(memory_format=torch.channels_last))


def difference(sampler: Sampler, styles: torch.Tensor, portraits: np.ndarray) -> float:
    return float(np.abs(sampler.generate(styles).astype(float) - portraits).mean() / 127.5)


@pytest.mark.parametrize("space", ["w", "w+"])
def test_generated_portraits_are_met(sampler, space):
    seeds = range(18)  # more than a batch
    portraits = sampler.generate(sampler.styles(sampler.codes(seeds), sampler.slots(seeds)))
    start, found = (Projector(sampler, space, steps).project(portraits) for steps in (1, 60))
    assert found.shape == ((18, 16) if space == "w" else (18, sampler.generator.layers, 16))
    assert difference(sampler, found, portraits) < min(0.05, 0.5 * difference(sampler, start, portraits))


def test_a_search_begins_with_no_portrait_that_is_asked_for(sampler):
    codes = torch.cat([sampler.codes(range(2000)), sampler.codes(CANDIDATES)])
    assert len(codes.unique(dim=0)) == 2000 + len(CANDIDATES)


def test_a_style_for_each_layer_comes_nearer_to_what_is_no_portrait_of_the_generator(sampler):
    noise = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), np.uint8).repeat(8, 1).repeat(8, 2)
    near, nearer = (difference(sampler, Projector(sampler, space, 60).project(noise), noise) for space in ("w", "w+"))
    assert nearer < 0.9 * near


def test_the_search_is_reproducible(sampler):
    portraits = sampler.generate(sampler.truncated(range(2), 1))
    first, second = (Projector(sampler, "w", 5).project(portraits) for _ in range(2))
    assert torch.equal(first, second)


def test_lpips_is_minimized_too(sampler, tmp_path):
    portraits = sampler.generate(sampler.truncated(range(2), 1))
    lpips = Lpips(write_vgg(tmp_path / "vgg.safetensors"))
    first, second = (Projector(sampler, "w", 5, network).project(portraits) for network in (None, lpips))
    assert not torch.equal(first, second)


def test_whitened_styles_are_standard_and_lead_back():
    z = torch.randn((4000, 3), generator=torch.Generator().manual_seed(0))
    mixing = torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.1, 0.0], [0.0, 0.3, 1.0]])
    w = torch.nn.functional.leaky_relu(z @ mixing + 0.5, 0.2)
    whitening = Whitening.of(w)
    white = whitening.whitened(w)
    torch.testing.assert_close(white.T.cov(), torch.eye(3), rtol=0, atol=1e-3)
    torch.testing.assert_close(whitening.styles(white), w, rtol=0, atol=1e-4)
