"""Median colors of regions, and how probable the names of a palette are."""

import numpy as np
import pytest
from helpers.colorist import EIGHT
from skimage.color import deltaE_ciede2000, rgb2lab

from facemill.data.classes import SEVEN
from facemill.imaging.colors import MIN_PIXELS, region_colors
from facemill.imaging.palettes import lab_palette, probabilities, rgb

BACKGROUND, HAIR = SEVEN.names.index("background"), SEVEN.names.index("hair")


def lab(*color: int) -> np.ndarray:
    return rgb2lab(np.array(color) / 255)


def test_a_region_has_its_median_color_in_lab(paint, mask):
    colors = region_colors(paint((192, 32, 32)), mask, SEVEN)
    expected = {
        "hair": (192, 32, 32),
        "skin": (220, 170, 140),
        "eye": (40, 60, 200),
        "mouth": (200, 40, 60),
        "clothes": (90, 90, 160),
        "background": (40, 160, 90),
    }
    assert colors.keys() == expected.keys()
    for region, color in expected.items():
        assert deltaE_ciede2000(colors[region], lab(*color)) < 0.3, region


@pytest.mark.parametrize("classes", [EIGHT])
def test_regions_follow_the_roles_of_another_table(paint, mask, classes):
    colors = region_colors(paint((192, 32, 32)), mask, classes)
    assert colors["clothes"] is None
    assert deltaE_ciede2000(colors["hair"], lab(192, 32, 32)) < 0.3  # of two classes


def test_outlines_do_not_count_where_enough_is_left():
    mask = np.full((32, 32), BACKGROUND, np.uint8)
    mask[8:12, 4:24] = HAIR
    image = np.zeros((32, 32, 3), np.uint8)
    image[9:11, 5:23] = (192, 32, 32)  # 36 pixels in an outline of 44 black ones
    assert deltaE_ciede2000(region_colors(image, mask, SEVEN)["hair"], lab(192, 32, 32)) < 0.3


@pytest.mark.parametrize(("pixels", "measured"), [(MIN_PIXELS, True), (MIN_PIXELS - 1, False)])
def test_a_small_region_has_no_color(pixels, measured):
    mask = np.full((32, 32), BACKGROUND, np.uint8)
    mask[4, :pixels] = HAIR  # one pixel thin: nothing is left of it without its outermost pixels
    colors = region_colors(np.full((32, 32, 3), 200, np.uint8), mask, SEVEN)
    assert (colors["hair"] is not None) == measured
    assert colors["eye"] is None


def test_a_name_is_as_near_as_its_nearest_typical_color(palette):
    def nearest(*color: int) -> str:
        return list(palette)[int(probabilities(lab(*color), palette).argmax())]

    assert nearest(100, 18, 18) == nearest(192, 32, 32) == "red_hair"
    assert nearest(40, 38, 40) == "black_hair"
    assert nearest(230, 230, 230) == "grey_hair"


def test_probabilities_are_a_softmax_of_ciede2000(palette):
    color = lab(120, 60, 60)
    distances = [min(deltaE_ciede2000(color, typical) for typical in of_name) for of_name in palette.values()]
    expected = np.exp(-np.array(distances) / 5) / np.exp(-np.array(distances) / 5).sum()
    np.testing.assert_allclose(probabilities(color, palette), expected)


def test_hex_colors():
    assert rgb("#ff0080") == (1, 0, 128 / 255)
    np.testing.assert_allclose(lab_palette({"a": ["#ffffff", "#000000"]})["a"], [[100, 0, 0], [0, 0, 0]], atol=0.01)
