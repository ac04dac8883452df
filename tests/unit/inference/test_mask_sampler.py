"""Masks of seeds, of any size."""

import numpy as np
import pytest
import torch
from helpers.masks import save_mask_generator
from helpers.scenes import THREE

from facemill.errors import UserError
from facemill.inference.mask_sampler import MaskSampler


def test_each_mask_depends_on_its_seed_alone(tmp_path):
    sampler = MaskSampler.load(save_mask_generator(tmp_path))
    masks = sampler.masks([0, 1, 2, 3])
    assert masks.shape == (4, 32, 32) and masks.dtype == np.uint8
    assert (sampler.masks([2])[0] != masks[2]).mean() < 0.01 and (masks[0] != masks[1]).any()
    assert np.array_equal(*sampler.masks([0, 1], psi=0))


def test_larger_masks_are_those_of_interpolated_shares(tmp_path):
    sampler = MaskSampler.load(save_mask_generator(tmp_path, ratio=2))
    small, large = sampler.masks(range(8)), sampler.masks(range(8), height=128)
    assert large.shape == (8, 128, 64)
    assert (large[:, 2::4, 2::4] == small).mean() > 0.9 and len(np.unique(small)) > 2
    assert torch.is_inference_mode_enabled() is False


def test_another_class_table_is_refused(tmp_path):
    with pytest.raises(UserError, match="classes"):
        MaskSampler.load(save_mask_generator(tmp_path), THREE)
