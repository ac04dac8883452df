"""The Frechet distance against its closed form, and pairings that never lend a portrait its own style."""

import numpy as np
import pytest

from facemill.synthesize.measure import frechet_distance, pairings, resegmentation


def test_frechet_distance_of_shifted_and_scaled_gaussians():
    x = np.random.default_rng(0).normal(size=(500, 3))
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(x, x + [1, 2, 0]) == pytest.approx(5, abs=1e-6)
    assert frechet_distance(x, 2 * (x - x.mean(0)) + x.mean(0)) == pytest.approx(np.trace(np.cov(x.T)), abs=1e-6)


def test_every_mask_is_painted_in_other_styles():
    pairs = list(pairings(6, 3, seed=1))
    assert len(set(pairs)) == 18
    assert all(mask != style for mask, style in pairs)
    assert sorted(mask for mask, _ in pairs) == sorted(list(range(6)) * 3)


def test_resegmentation_counts_all_pixels_together():
    masks = [np.zeros((4, 4), np.uint8), np.full((4, 4), 5, np.uint8)]
    seen = [np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8)]
    found = resegmentation(np.stack(seen), np.stack(masks))
    assert found["per_class"][0] == 0.5 and found["per_class"][5] == 0
    assert found["miou"] == 0.25
