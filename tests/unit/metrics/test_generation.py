"""The Frechet distance against its closed form, color errors, diversity, and pairings of others' styles."""

import numpy as np
import pytest

from facemill.data.classes import CLOTHES, HAIR
from facemill.metrics.generation import (
    Painted,
    color_errors,
    diversity,
    frechet_distance,
    pairings,
    resegmentation,
    style_errors,
)


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


def test_colors_are_compared_with_the_reference_and_only_where_both_have_the_region():
    masks = np.zeros((2, 32, 32), np.uint8)
    masks[0, :16] = masks[1, 16:] = HAIR
    masks[0, 28:] = CLOTHES
    portraits = np.full((2, 32, 32, 3), 200, np.uint8)
    portraits[1, 16:] = (40, 80, 160)
    same, other = np.full((32, 32, 3), 200, np.uint8), np.full((32, 32, 3), 200, np.uint8)
    same[:16] = (40, 80, 160)
    errors = color_errors([Painted(same, 0, 1), Painted(other, 0, 1), Painted(other, 0, None)], portraits, masks)
    assert errors[0]["hair"] == errors[0]["background"] == 0
    assert errors[1]["hair"] > 20
    assert all(row["clothes"] is None for row in errors)
    assert set(errors[2].values()) == {None}
    together = style_errors(errors)
    assert together["style_hair_color_error"] == pytest.approx(errors[1]["hair"] / 2)
    assert "style_clothes_color_error" not in together


def test_one_picture_again_and_again_has_no_diversity():
    features = np.random.default_rng(0).normal(size=(50, 8))
    assert diversity(features[:1].repeat(50, 0)) == 0
    assert diversity(2 * features) == pytest.approx(2 * diversity(features))
