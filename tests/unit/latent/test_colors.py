"""Median colours of regions, and what hair colours are called."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from facemill.classes import BACKGROUND, HAIR
from facemill.colors import MIN_PIXELS, region_colors
from facemill.config import Tags
from facemill.errors import BadInput
from facemill.latent.colors import lab_palette, name_by_color, name_by_tags, probabilities, rgb
from facemill.shards import read_rows

TAGS = {"black_hair": ["#202024"], "red_hair": ["#c02020"], "grey_hair": ["#c4c6cc"]}


def lab(*color: int) -> np.ndarray:
    return rgb2lab(np.array(color) / 255)


def test_a_region_has_its_median_colour_in_lab(paint, mask):
    colors = region_colors(paint((192, 32, 32)), mask)
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


def test_outlines_do_not_count_where_enough_is_left():
    mask = np.full((32, 32), BACKGROUND, np.uint8)
    mask[8:12, 4:24] = HAIR
    image = np.zeros((32, 32, 3), np.uint8)
    image[9:11, 5:23] = (192, 32, 32)  # 36 pixels in an outline of 44 black ones
    assert deltaE_ciede2000(region_colors(image, mask)["hair"], lab(192, 32, 32)) < 0.3


@pytest.mark.parametrize(("pixels", "measured"), [(MIN_PIXELS, True), (MIN_PIXELS - 1, False)])
def test_a_small_region_has_no_colour(pixels, measured):
    mask = np.full((32, 32), BACKGROUND, np.uint8)
    mask[4, :pixels] = HAIR  # one pixel thin: nothing is left of it without its outermost pixels
    colors = region_colors(np.full((32, 32, 3), 200, np.uint8), mask)
    assert (colors["hair"] is not None) == measured
    assert colors["eye"] is None


def test_a_name_is_as_near_as_its_nearest_typical_colour(palette):
    assert name_by_color(lab(100, 18, 18), palette)[0] == "red_hair"
    assert name_by_color(lab(192, 32, 32), palette)[0] == "red_hair"
    assert name_by_color(lab(40, 38, 40), palette)[0] == "black_hair"
    assert name_by_color(lab(230, 230, 230), palette)[0] == "grey_hair"


def test_probabilities_are_a_softmax_of_ciede2000(palette):
    color = lab(120, 60, 60)
    far = [min(deltaE_ciede2000(color, typical) for typical in of_name) for of_name in palette.values()]
    expected = np.exp(-np.array(far) / 5) / np.exp(-np.array(far) / 5).sum()
    np.testing.assert_allclose(probabilities(color, palette), expected)
    name, probability = name_by_color(color, palette)
    assert name == list(palette)[int(expected.argmax())]
    assert probability == pytest.approx(expected.max())


def test_no_hair_has_no_name(palette):
    assert name_by_color(None, palette) == (None, None)


def test_tags_name_a_colour_only_when_they_are_of_one_mind(palette):
    assert name_by_tags(["solo", "red_hair"], palette) == ("red_hair", 1.0)
    assert name_by_tags(["black_hair", "red_hair"], palette) == (None, None)
    assert name_by_tags(["solo", "long_hair"], palette) == (None, None)


def test_hex_colours():
    assert rgb("#ff0080") == (1, 0, 128 / 255)
    np.testing.assert_allclose(lab_palette({"a": ["#ffffff", "#000000"]})["a"], [[100, 0, 0], [0, 0, 0]], atol=0.01)


@pytest.mark.parametrize(
    ("hair_colors", "message"), [({}, "tags.hair_colors: found no name"), ({"a": []}, r"tags.hair_colors.a: found no")]
)
def test_an_empty_palette_is_refused(hair_colors, message):
    with pytest.raises(BadInput, match=message):
        lab_palette(hair_colors)


@pytest.mark.parametrize("source", ["color", "tags"])
def test_tag_colors_names_every_portrait(script, collection, tmp_path, source):
    portraits, pseudo_labels = collection["portraits"][0], collection["pseudo_labels"][0]
    settings, out = Tags(source=source, hair_colors=TAGS), tmp_path / "out.parquet"
    script("tag_colors")(settings=settings, portraits=portraits, pseudo_labels=pseudo_labels, out=out)
    first = out.read_bytes()
    rows, truth = list(read_rows([out])), list(read_rows([portraits]))
    assert [(row["id"], row["hair_color"]) for row in rows] == [(row["id"], row["tags"][0]) for row in truth]
    assert all((row["probability"] == 1) == (source == "tags") for row in rows)
    assert all(deltaE_ciede2000(row["skin"], lab(220, 170, 140)) < 2 for row in rows)

    script("tag_colors")(settings=settings, portraits=portraits, pseudo_labels=pseudo_labels, out=out)
    assert out.read_bytes() == first


def test_tag_colors_needs_no_torch():
    code = "import runpy, sys; runpy.run_path('scripts/tag_colors.py'); print('torch' in sys.modules)"
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env={"PYTHONPATH": "."}, capture_output=True, text=True
    )
    assert done.stdout == "False\n", done.stderr
