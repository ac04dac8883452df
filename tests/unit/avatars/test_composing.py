"""Avatars composed from the nearest parts."""

import json

import numpy as np
import pytest

from facemill.avatars.colors import lab_color
from facemill.avatars.composing import Matched, compose, make, match, part_colors, png
from facemill.avatars.matching import Library
from facemill.avatars.part_maps import over, part_map, picture, seven_mask
from facemill.avatars.regions import cut_parts
from facemill.avatars.styles import DrawingStyle, random_options
from facemill.data.classes import SEVEN
from facemill.data.shards import decode_image
from facemill.imaging.colors import difference, region_colors

SIZE = 128


def empty(name: str) -> Library:
    """A style whose library has no parts: all that composing needs."""
    style = DrawingStyle.load(name)
    return Library.of(style, style.candidates, {}, {}, {})


@pytest.fixture(scope="module")
def toon():
    return empty("toon-head")


@pytest.fixture(scope="module")
def drawn():
    """Figures of the style emoji with their parts and choices, and the library of these parts."""
    style = DrawingStyle.load("emoji")
    rng = np.random.default_rng(1)
    figures = []
    for _ in range(40):
        options, choices = random_options(style, rng)
        svg = style.svg(options)
        parts = cut_parts(over(picture(svg, SIZE)), seven_mask(svg, style, SIZE), looks=1)
        figures.append((parts, choices))
    rows, candidates = {}, {}
    for role, of in style.candidates.items():
        rows[role] = np.stack([parts[role].descriptor for parts, _ in figures])
        candidates[role] = np.array([of.index(choices[role]) for _, choices in figures])
    return figures, Library.of(style, style.candidates, rows, candidates, {})


def test_a_figure_of_the_style_is_drawn_again(drawn):
    figures, library = drawn
    for parts, choices in figures[:5]:
        avatar = make(parts, {}, library, library.statistics)
        assert {role: matched.choice for role, matched in avatar.roles.items()} == choices
        assert all(matched.nearest[0] == (matched.choice, matched.distance) for matched in avatar.roles.values())
        assert avatar.unseen == tuple(library.style.unseen)


def test_portraits_are_matched_together_as_each_alone(drawn):
    figures, library = drawn
    portraits = [{role: part.descriptor for role, part in parts.items()} for parts, _ in figures[:6]]
    del portraits[2]["mouth"]
    together = match(portraits, library, library.statistics)
    alone = [match([portrait], library, library.statistics)[0] for portrait in portraits]
    assert "mouth" not in together[2]
    assert [{r: m.choice for r, m in of.items()} for of in together] == [
        {r: m.choice for r, m in of.items()} for of in alone
    ]


@pytest.mark.parametrize("name", ["toon-head", "lorelei", "emoji"])
def test_the_options_draw_the_same_bytes_again(name):
    library = empty(name)
    rng = np.random.default_rng(3)
    _, choices = random_options(library.style, rng)
    roles = {role: Matched(choice, 0.0, 1.0, ()) for role, choice in choices.items()}
    colors = {"hair": lab_color("#7d55b0"), "skin": lab_color("#e0ac8c"), "clothes": lab_color("#3f6fc4")}
    avatar = compose(roles, colors, library, background="#a0b1c2", size=64)
    options = json.loads(json.dumps(avatar.options))
    assert DrawingStyle.load(name).svg(options) == avatar.svg
    assert compose(roles, colors, library, background="#a0b1c2", size=64).svg == avatar.svg


@pytest.mark.parametrize("name", ["toon-head", "lorelei", "pixel-art"])
def test_an_avatar_shows_the_colors_of_the_portrait(name):
    """Measured anew, on the drawing at another size."""
    library = empty(name)
    rng = np.random.default_rng(5)
    for _ in range(2):
        _, choices = random_options(library.style, rng)
        roles = {role: Matched(choice, 0.0, 1.0, ()) for role, choice in choices.items()}
        colors = {region: np.float32([rng.uniform(35, 75), *rng.uniform(-15, 25, 2)]) for region in ("hair", "skin")}
        avatar = compose(roles, colors, library, size=256)
        shown = region_colors(over(avatar.picture), seven_mask(avatar.svg, library.style, 256), SEVEN)
        for region, asked in colors.items():
            if shown[region] is not None:
                assert difference(asked, shown[region]) < 3, (region, choices)


def test_colors_are_corrected_by_what_the_drawing_shows(monkeypatch):
    """In a style that shades its skin."""
    library, colors = empty("pixel-art"), {"skin": lab_color("#c08060")}
    assert compose({}, colors, library).colors["skin"].difference < 1
    monkeypatch.setattr("facemill.avatars.composing.CORRECTIONS", 0)
    assert compose({}, colors, library).colors["skin"].difference > 2


def test_a_color_that_no_correction_brings_nearer_is_given_as_it_is():
    """A hat is drawn in its own color, whatever the hair's is."""
    library, colors = empty("avataaars"), {"hair": lab_color("#c08060")}
    hat = next(choice for choice in library.style.candidates["hair"] if choice["top"] == "hat")
    avatar = compose({"hair": Matched(hat, 0.0, 1.0, ())}, colors, library)
    assert avatar.colors["hair"].difference > 5
    assert avatar.colors["hair"].given == "#c08060"


def test_the_background_is_drawn_and_is_no_part(toon):
    colors = {"skin": lab_color("#e0ac8c")}
    plain, blue = (compose({}, colors, toon, background=background, size=64) for background in (None, "#2040c0"))
    assert plain.picture[0, 0, 3] == 0
    assert tuple(blue.picture[0, 0]) == (0x20, 0x40, 0xC0, 255)
    assert blue.colors == plain.colors


def test_a_portrait_without_hair_has_an_avatar_without(toon):
    colors = {"hair": lab_color("#7d55b0"), "skin": lab_color("#e0ac8c")}
    avatar = compose({}, colors, toon)
    components = list(toon.style.components)
    shown = {components[i - 2] for i in np.unique(part_map(avatar.svg, toon.style, 128)) if i >= 2}
    assert shown.isdisjoint({"hair", "rearHair", "beard"}) and "head" in shown
    assert avatar.colors["hair"].rendered is None
    assert {"hair", "eyes", "mouth"} <= set(avatar.unseen)


def test_colors_of_parts_are_those_of_regions():
    red = np.float32([50, 60, 40])
    assert part_colors({"face": red, "eyebrows": red, "hair": None, "eyes": red}) == {"skin": red, "eye": red}


def test_a_png_has_the_picture(toon):
    avatar = compose({}, {}, toon, size=48)
    decoded = decode_image(png(avatar.picture))
    opaque = avatar.picture[..., 3] == 255
    assert (decoded[opaque] == avatar.picture[..., :3][opaque]).all()
