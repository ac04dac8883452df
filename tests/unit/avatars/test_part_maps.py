"""Part maps: the same as those that the sample draws, and right in flat, nested and base styles."""

import copy
import json
import re
from functools import cache

import numpy as np
import pytest

from facemill.avatars import emoji
from facemill.avatars.part_maps import BASE, over, part_map, picture, seven_mask
from facemill.avatars.styles import DrawingStyle, random_options
from facemill.data.classes import ROLES
from facemill.ingest.drawing import Drawing, draw
from facemill.ingest.toon_head import PART_IDS

STYLES = [
    "toon-head",
    "adventurer",
    "avataaars",
    "personas",
    "big-ears",
    "lorelei",
    "pixel-art",
    "croodles",
    "moods",
    "cutouts",
    "micah",
    "notionists",
    "open-peeps",
    "big-smile",
    "miniavs",
    "voxel-art",
    "emoji",
]

load = cache(DrawingStyle.load)


def dicebear_svg(drawing: Drawing, style: DrawingStyle) -> str:
    """The sample's portrait as DiceBear draws its variants, in the same pose and with as large eyes and mouth."""
    pose, layers = re.search(r'<g stroke-width="5" transform="([^"]*)">(.*)</g></svg>', drawing.picture, re.S).groups()
    places = iter(re.findall(r'(?:^|</g>)<g transform="([^"]*)"', layers))
    defs, body = style.svg(style.options({"hair": drawing.variants})).split("</defs>")
    body = re.sub(r'<use transform="[^"]*"', lambda _: f'<use transform="{next(places)}"', body)
    body = body.replace("<use", f'<g stroke-width="5" transform="{pose}"><use', 1).replace(
        "</g></svg>", "</g></g></svg>"
    )
    assert next(places, None) is None
    return f"{defs}</defs>{body}"


def test_part_maps_equal_those_of_the_samples_portraits():
    style, compared = load("toon-head"), set()
    for post_id in range(100_000, 300_000, 10_000):
        drawing = draw(post_id, seed=3)
        ours, theirs = part_map(dicebear_svg(drawing, style), style, 256), drawing.part_ids(256)
        details = {"head": ("head", "ears", "nose"), "eyes": ("eyes", "eyeballs", "pupils")}
        for part, component in enumerate(style.components, BASE + 1):
            is_ours = ours == part
            is_theirs = np.isin(theirs, [PART_IDS[name] for name in details.get(component, (component,))])
            if (either := np.count_nonzero(is_ours | is_theirs)) > 0:
                assert np.count_nonzero(is_ours & is_theirs) / either > 0.99, (post_id, component)
                compared.add(component)
    assert compared == set(style.components)


@pytest.mark.parametrize("name", STYLES)
def test_every_pixel_shows_a_component_that_is_shown(name):
    style, rng = load(name), np.random.default_rng(4)
    for _ in range(3):
        options, _ = random_options(style, rng)
        svg = style.svg(options)
        parts = part_map(svg, style, 128)
        shown = {i for i, component in enumerate(style.components, BASE + 1) if f'id="{component}-' in svg}
        assert set(np.unique(parts)) <= {0, BASE, *shown}
        opaque, nothing = picture(svg, 128)[..., 3] > 250, parts == 0
        assert np.mean(opaque & nothing) < 0.002  # specks
        classes = {ROLES[i] for i in np.unique(seven_mask(svg, style, 128))}
        assert {"background", "face", "eye", "mouth"} <= classes
        assert ("hair" in style.candidates) == ("hair" in classes)


def test_parts_inside_of_other_components_have_their_own_id():
    style = load("lorelei")  # eyes and mouth are drawn inside of the head, which is inside of the hair
    parts = part_map(style.svg(style.options({})), style, 256)
    for component in ("hair", "head", "eyes", "mouth"):
        assert BASE + 1 + list(style.components).index(component) in parts


def test_a_face_that_is_no_component_is_the_base():
    style = load("avataaars")
    svg = style.svg(style.options({}))
    assert np.mean(part_map(svg, style, 128) == BASE) > 0.1
    assert ROLES[seven_mask(svg, style, 128)[64, 64]] == "face"


def test_a_background_is_nothing():
    for name in ("toon-head", "avataaars", "emoji"):
        style = load(name)
        plain, colored = (style.svg(style.options({}, background=color)) for color in (None, "#3377aa"))
        assert (picture(colored, 96)[..., 3] == 255).all()
        assert np.array_equal(part_map(plain, style, 96), part_map(colored, style, 96))


def test_colors_do_not_matter():
    style = load("toon-head")
    maps = []
    for color in ("#000000", "#ffffff"):
        options = style.options({}, {f"{name}Color": color for name in style.definition["colors"]})
        maps.append(part_map(style.svg(options), style, 128))
    assert np.array_equal(*maps)


def test_hair_and_face_of_one_component_are_told_apart():
    style = load("open-peeps")
    svg = style.svg(style.options({"hair": {"head": "afro"}}))
    classes = [ROLES[i] for i in np.unique(seven_mask(svg, style, 128))]
    assert classes == ["background", "face", "eye", "mouth", "hair", "clothes"]
    rows = {role: np.nonzero(seven_mask(svg, style, 128) == ROLES.index(role))[0].mean() for role in classes}
    assert rows["hair"] < rows["eye"] < rows["mouth"] < rows["clothes"]


def test_text_and_hidden_components_in_a_head_do_not_shift_its_skin(tmp_path):
    definition = emoji.definition()
    variants = definition["components"].pop("face")
    definition["components"] |= {"head": variants, "glasses": definition["components"]["eyes"] | {"probability": 0}}
    definition["canvas"]["elements"][0]["name"] = "head"
    for variant in variants["variants"].values():
        variant["elements"][:0] = [{"type": "text", "value": " "}, {"type": "component", "name": "glasses"}]
    (tmp_path / "mine.json").write_text(json.dumps(definition))
    style = DrawingStyle.load(str(tmp_path / "mine.json"))
    assert ROLES[seven_mask(style.svg(style.options({})), style, 96)[15, 48]] == "face"


def test_bare_bodies_are_skin_and_dressed_ones_clothes():
    toon_head, miniavs = load("toon-head"), load("miniavs")  # both have a component `body`
    bare = seven_mask(toon_head.svg(toon_head.options({})), toon_head, 128)
    dressed = seven_mask(miniavs.svg(miniavs.options({})), miniavs, 128)
    assert ROLES.index("skin") in bare
    assert ROLES.index("skin") not in dressed
    assert ROLES.index("clothes") in dressed


def own_style(tmp_path, elements, canvas=None):
    """A style of one's own whose only eyes are these elements, 56 x 22 at (22, 32) on 100 x 100."""
    definition = copy.deepcopy(emoji.definition())
    definition["components"]["eyes"]["variants"] = {"only": {"elements": elements}}
    definition["canvas"] |= canvas or {}
    (tmp_path / "mine.json").write_text(json.dumps(definition))
    return DrawingStyle.load(str(tmp_path / "mine.json"))


def eyes_of(style, size=100):
    parts = part_map(style.svg(style.options({})), style, size)
    return parts == BASE + 1 + list(style.components).index("eyes")


def test_what_is_transparent_or_shaded_counts_and_what_is_invisible_does_not(tmp_path):
    rect = {"type": "element", "name": "rect"}
    shown = {"width": "20", "height": "20", "fill": "#000000", "fill-opacity": ".1", "style": "mix-blend-mode:multiply"}
    hidden = [
        {"x": "30", "width": "20", "height": "20", "fill": "#000000", "opacity": "0"},
        {"x": "30", "width": "20", "height": "20", "style": "fill:#000000; fill-opacity:0"},
    ]
    inline = {"width": "10", "height": "22", "style": "fill: #000000; opacity: .2"}
    style = own_style(tmp_path, [rect | {"attributes": attributes} for attributes in (shown, inline, *hidden)])
    expected = np.zeros((100, 100), bool)
    expected[32:52, 22:42] = expected[52:54, 22:32] = True
    assert np.array_equal(eyes_of(style), expected)


def test_colors_come_from_groups_around_and_from_gradients(tmp_path):
    gradient = {"type": "element", "name": "linearGradient", "attributes": {"id": "g"}}
    stop = {"type": "element", "name": "stop", "attributes": {"stop-color": "#00f", "stop-opacity": ".3"}}
    rect = {"type": "element", "name": "rect", "attributes": {"width": "10", "height": "10"}}
    moved = {"type": "element", "name": "rect", "attributes": {"x": "20", "width": "10", "height": "10"}}
    elements = [
        {"type": "element", "name": "defs", "children": [gradient | {"children": [stop]}]},
        {"type": "element", "name": "g", "attributes": {"fill": "url(#g)"}, "children": [rect]},
        {
            "type": "element",
            "name": "g",
            "attributes": {"fill": "none"},
            "children": [moved],
        },
    ]
    expected = np.zeros((100, 100), bool)
    expected[32:42, 22:32] = True
    assert np.array_equal(eyes_of(own_style(tmp_path, elements)), expected)


def test_masks_hold_in_part_maps(tmp_path):
    half = {"type": "element", "name": "rect", "attributes": {"width": "10", "height": "20", "fill": "#fff"}}
    full = {"type": "element", "name": "rect", "attributes": {"width": "20", "height": "20", "fill": "#123"}}
    elements = [
        {"type": "element", "name": "mask", "attributes": {"id": "m", "style": "mask-type:alpha"}, "children": [half]},
        {"type": "element", "name": "g", "attributes": {"mask": "url(#m)"}, "children": [full]},
    ]
    expected = np.zeros((100, 100), bool)
    expected[32:52, 22:32] = True
    assert np.array_equal(eyes_of(own_style(tmp_path, elements)), expected)


def test_figures_that_are_not_square_lie_in_the_middle_of_picture_and_map_alike(tmp_path):
    rect = {"type": "element", "name": "rect", "attributes": {"width": "20", "height": "20", "fill": "#000"}}
    style = own_style(tmp_path, [rect], {"width": 200})
    svg = style.svg(style.options({}))
    assert picture(svg, 100).shape == (100, 100, 4)
    dark = over(picture(svg, 100)).max(2) < 30
    assert np.array_equal(dark, eyes_of(style))


def test_pictures_over_a_color():
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 0, 0, 51]]], np.uint8)
    assert over(rgba).tolist() == [[[10, 20, 30], [255, 255, 255], [204, 204, 204]]]
    assert over(rgba, (0, 100, 0)).tolist() == [[[10, 20, 30], [0, 100, 0], [0, 80, 0]]]
