"""The Frechet distance against its closed form, mask fidelity, color errors, diversity, and pairs of mask and style."""

import numpy as np
import pytest

from facemill.data.classes import SEVEN, Class, ClassTable
from facemill.metrics.generation import (
    Sample,
    color_errors,
    diversity,
    evenly_spaced,
    frechet_distance,
    mask_style_pairs,
    resegmentation_iou,
    style_errors,
)

HAIR, CLOTHES = SEVEN.names.index("hair"), SEVEN.names.index("clothes")


def test_frechet_distance_of_shifted_and_scaled_gaussians():
    x = np.random.default_rng(0).normal(size=(500, 3))
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(x, x + np.array([1, 2, 0])) == pytest.approx(5, abs=1e-6)
    assert frechet_distance(x, 2 * (x - x.mean(0)) + x.mean(0)) == pytest.approx(np.trace(np.cov(x.T)), abs=1e-6)


def test_every_mask_is_paired_with_styles_of_others():
    pairs = list(mask_style_pairs(6, 3, seed=1))
    assert len(set(pairs)) == 18
    assert all(mask != style for mask, style in pairs)
    assert sorted(mask for mask, _ in pairs) == sorted(list(range(6)) * 3)


def test_evenly_spaced_indices():
    assert evenly_spaced(9, 3) == [0, 4, 8]
    assert evenly_spaced(2, 5) == [0, 1]


@pytest.mark.parametrize("classes", [7, 19])
def test_resegmentation_counts_all_pixels_together(classes):
    masks = np.stack([np.zeros((4, 4), np.uint8), np.full((4, 4), 5, np.uint8)])
    per_class = resegmentation_iou(np.zeros_like(masks), masks, classes)
    assert per_class.shape == (classes,)
    assert per_class[0] == 0.5 and per_class[5] == 0
    assert np.isnan(np.delete(per_class, [0, 5])).all()


def test_colors_are_compared_with_the_reference_where_both_have_the_region():
    masks = np.zeros((2, 32, 32), np.uint8)
    masks[0, :16] = masks[1, 16:] = HAIR
    masks[0, 28:] = CLOTHES
    portraits = np.full((2, 32, 32, 3), 200, np.uint8)
    portraits[1, 16:] = (40, 80, 160)
    same, other = np.full((32, 32, 3), 200, np.uint8), np.full((32, 32, 3), 200, np.uint8)
    same[:16] = (40, 80, 160)
    samples = [Sample(same, 0, 1), Sample(other, 0, 1), Sample(other, 0, None)]
    errors = color_errors(samples, portraits, masks, SEVEN)
    assert errors[0]["hair"] == errors[0]["background"] == 0
    assert errors[1]["hair"] > 20
    assert all(row["clothes"] is None for row in errors)
    assert set(errors[2].values()) == {None}
    summary = style_errors(errors)
    assert summary["style_hair_color_error"] == pytest.approx(errors[1]["hair"] / 2)
    assert summary["style_hair_color_error_std"] == pytest.approx(errors[1]["hair"] / 2)
    assert "style_clothes_color_error" not in summary


def test_a_region_that_no_class_has_has_no_error():
    classes = ClassTable(
        (Class(name="around", color="#000000", role="background"), Class(name="head", color="#ff0000", role="face"))
    )
    portraits, masks = np.zeros((2, 32, 32, 3), np.uint8), np.zeros((2, 32, 32), np.uint8)
    masks[:, 8:24] = 1
    [errors] = color_errors([Sample(portraits[0], 0, 1)], portraits, masks, classes)
    assert {region for region, error in errors.items() if error is not None} == {"background", "skin"}
    assert style_errors([errors])["style_skin_color_error"] == 0


def test_a_collapsed_generator_has_no_diversity():
    features = np.random.default_rng(0).normal(size=(50, 8))
    assert diversity(features[:1].repeat(50, 0)) == 0
    assert diversity(2 * features) == pytest.approx(2 * diversity(features))
