"""Seeds to codes, styles and portraits: each depends on its seed alone; centers of truncation."""

from pathlib import Path

import numpy as np
import pytest
import torch

from facemill.inference.sampler import Sampler
from facemill.networks.store import save_model
from facemill.networks.stylegan2 import StyleGenerator

KWARGS = {"height": 32, "channels": [16, 16, 8, 8], "z_dim": 8, "w_dim": 8, "mapping": 2}
ASKED = {"conditions": {"hair_color": ["black_hair", "red_hair"]}, "combinations": 3}


def saved(folder: Path, **kwargs) -> Sampler:
    torch.manual_seed(0)
    generator = StyleGenerator(**KWARGS, **kwargs)
    if kwargs:
        generator.combinations.copy_(torch.tensor([[0], [1], [2]]))
        generator.shares.copy_(torch.tensor([0.5, 0.5, 0.0]))
    generator.w_mean.normal_()
    save_model(folder / "model.safetensors", generator, KWARGS | kwargs, {})
    return Sampler.load(folder)


def test_a_code_depends_on_its_seed_alone(tmp_path):
    sampler = saved(tmp_path, **ASKED)
    codes, slots = sampler.codes(range(5)), sampler.slots(range(5))
    assert torch.equal(codes[[3, 1]], sampler.codes([3, 1])) and torch.equal(slots[[3, 1]], sampler.slots([3, 1]))
    assert len({tuple(code.tolist()) for code in codes}) == 5
    many = sampler.slots(range(400))[:, 0]
    assert set(many.tolist()) == {0, 1} and (many == 0).float().mean().item() == pytest.approx(0.5, abs=0.1)


def test_codes_are_the_same_whatever_is_asked_for(tmp_path):
    """Codes and slots of a seed are independent, so that names differ in nothing else."""
    sampler = saved(tmp_path, **ASKED)
    codes, slots = sampler.codes(range(2000)), sampler.slots(range(2000))[:, 0]
    for power in (1, 2):
        means = [(codes[slots == slot] ** power).mean(0) for slot in (0, 1)]
        assert (means[0] - means[1]).abs().max() < 0.25


def test_truncation_ends_in_one_portrait_and_leaves_a_seed_as_it_is(tmp_path):
    sampler = saved(tmp_path)
    styles = sampler.styles(sampler.codes(range(3)), sampler.slots(range(3)))
    torch.testing.assert_close(sampler.truncated(range(3), 1), styles)
    assert torch.equal(sampler.truncated(range(3), 0), sampler.generator.w_mean.expand(3, -1))
    portraits = sampler.generate(sampler.truncated(range(70), 0))
    assert portraits.shape == (70, 32, 32, 3) and portraits.dtype == np.uint8
    assert np.ptp(portraits.astype(int), axis=0).max() <= 1  # another place in a batch may round otherwise


def test_with_conditions_the_center_is_the_mean_of_what_is_asked_for(tmp_path):
    sampler = saved(tmp_path, **ASKED)
    slots = torch.tensor([[1], [0], [1]])
    centers = sampler.centers(slots)
    assert torch.equal(centers[0], centers[2]) and not torch.allclose(centers[0], centers[1])
    codes = sampler.codes(range(4000))
    mean = sampler.styles(codes, slots[:1].expand(4000, -1)).mean(0)
    assert (centers[0] - mean).norm() < 0.2 * (centers[0] - centers[1]).norm()
    torch.testing.assert_close(sampler.truncated([7, 8, 9], 0, slots), centers)


def test_a_style_of_each_layer_paints_as_one_for_all(tmp_path):
    sampler = saved(tmp_path)
    styles = sampler.truncated(range(2), 1)
    layers = styles[:, None].expand(-1, sampler.generator.layers, -1)
    difference = sampler.generate(styles).astype(int) - sampler.generate(layers)
    assert np.abs(difference).max() <= 1
