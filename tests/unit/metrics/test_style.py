"""Which portraits give styles, errors of colors beside chance and floor, and diversity."""

import numpy as np
import pytest
from helpers.vgg import write_vgg

from facemill.data.classes import SEVEN, Class, ClassTable
from facemill.imaging.colors import REGIONS
from facemill.metrics.style import (
    color_errors,
    colors_of,
    lpips_diversity,
    style_color_error,
    style_diversity,
    styles_of_masks,
)
from facemill.networks.vgg import Lpips

HAIR, CLOTHES = SEVEN.names.index("hair"), SEVEN.names.index("clothes")


@pytest.mark.parametrize(("count", "styles"), [(1, 0), (2, 1), (3, 2), (4, 3), (5, 4), (6, 4), (50, 4)])
def test_no_mask_has_the_style_of_its_own_portrait(count, styles):
    of = styles_of_masks(count, 4, seed=1)
    assert of.shape == (count, styles)
    for mask, others in enumerate(of.tolist()):
        assert mask not in others and len(set(others)) == styles
    assert np.bincount(of.ravel(), minlength=count).tolist() == [styles] * count  # each gives as many


def test_colors_are_compared_where_both_have_the_region():
    masks = np.zeros((3, 32, 32), np.uint8)
    masks[:2, :16] = masks[2, 16:] = HAIR
    masks[0, 28:] = CLOTHES
    images = np.full((3, 32, 32, 3), 200, np.uint8)
    images[1, :16] = images[2, 16:] = (40, 80, 160)
    colors = colors_of(images, masks, SEVEN)
    gray, same = (dict(zip(REGIONS, row, strict=True)) for row in color_errors(colors[:2], colors[2]))
    assert same["hair"] == same["background"] == gray["background"] == 0
    assert gray["hair"] > 20
    assert np.isnan(gray["clothes"]) and np.isnan(same["clothes"]) and np.isnan(same["eye"])


def test_a_region_that_no_class_has_has_no_color():
    classes = ClassTable(
        (Class(name="around", color="#000000", role="background"), Class(name="head", color="#ff0000", role="face"))
    )
    masks = np.zeros((1, 32, 32), np.uint8)
    masks[:, 8:24] = 1
    [colors] = colors_of(np.zeros((1, 32, 32, 3), np.uint8), masks, classes)
    assert [r for r, color in zip(REGIONS, colors, strict=True) if not np.isnan(color).any()] == ["skin", "background"]


def test_errors_of_a_region_that_takes_its_color_from_the_style_and_of_one_that_does_not():
    """Hair has the reference's color, eyes are always of one color far from any; nobody has clothes."""
    random = np.random.default_rng(0)
    eye, clothes = (list(REGIONS).index(region) for region in ("eye", "clothes"))
    real = random.uniform(20, 80, (30, 1, len(REGIONS), 3)).astype(np.float32)
    real[:, :, eye] = random.normal((50, 0, 0), 0.2, (30, 1, 3))
    real[:, :, clothes] = np.nan
    of = styles_of_masks(30, 4, seed=1)
    painted, own = real[:, 0][of], real.copy()
    painted[:, :, eye] = own[:, :, eye] = (80, 0, 0)
    errors = style_color_error(painted, own, real, of)
    assert "clothes" not in errors
    assert errors["hair"]["reference"] == errors["hair"]["own_style"] == errors["hair"]["reference_std"] == 0
    assert errors["hair"]["wrong_reference"] > 15 and errors["hair"]["two_real_portraits"] > 15
    assert errors["eye"]["wrong_reference"] == pytest.approx(errors["eye"]["reference"], rel=0.01)
    assert errors["eye"]["own_style"] == pytest.approx(errors["eye"]["reference"], rel=0.01)
    assert 0 < errors["eye"]["two_real_portraits"] < 1 < 20 < errors["eye"]["reference"]


def test_of_two_portraits_none_is_a_wrong_reference():
    real = np.random.default_rng(0).uniform(20, 80, (2, 1, len(REGIONS), 3)).astype(np.float32)
    of = styles_of_masks(2, 4, seed=1)
    assert style_color_error(real[:, 0][of], real, real, of)["hair"]["wrong_reference"] is None


def test_styles_that_change_nothing_have_no_diversity_however_different_the_masks():
    random = np.random.default_rng(0)
    masks, styles = random.normal(size=(50, 1, 8)), random.normal(size=(1, 4, 8))
    assert style_diversity(masks.repeat(4, 1)) == 0
    diversity = style_diversity(masks + styles)
    assert diversity > 0 and style_diversity(10 * masks + styles) == pytest.approx(diversity)
    assert style_diversity(masks + 2 * styles) == pytest.approx(2 * diversity)


def test_lpips_between_portraits_of_one_mask(tmp_path):
    lpips = Lpips(write_vgg(tmp_path / "vgg16.safetensors"))
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    assert lpips_diversity(lpips, images[:1].repeat(3, 0)) == 0
    pairs = [lpips_diversity(lpips, images[pair]) for pair in ([0, 1], [0, 2], [1, 2])]
    assert lpips_diversity(lpips, images) == pytest.approx(np.mean(pairs)) and min(pairs) > 0
