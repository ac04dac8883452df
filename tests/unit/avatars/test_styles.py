"""Drawing styles: what of a definition can be matched, options that draw the same again, hostile definitions."""

import copy
import json
import re
from functools import cache

import numpy as np
import pytest

from facemill.avatars import emoji
from facemill.avatars.styles import NONE, DrawingStyle, random_options
from facemill.errors import UserError

load = cache(DrawingStyle.load)


def own_style(tmp_path, change=lambda definition: None):
    """A definition of one's own in a file: the emoji, changed."""
    definition = copy.deepcopy(emoji.definition())
    change(definition)
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(definition))
    return str(path)


@pytest.mark.parametrize("name", ["toon-head", "lorelei", "avataaars", "moods", "open-peeps", "emoji"])
def test_options_give_the_same_svg_again(name):
    style, rng = load(name), np.random.default_rng(1)
    for _ in range(5):
        options, _ = random_options(style, rng)
        svg = style.svg(options)
        assert load(name).svg(json.loads(json.dumps(options))) == svg


def test_every_option_that_dicebear_would_draw_at_random_is_set():
    style = load("micah")
    drawn = {style.svg(style.options({}) | {"seed": seed}) for seed in ("", "a", "b", "c")}
    assert len({re.sub('-[0-9a-f]{8}(?=[")])', "", svg) for svg in drawn}) == 1  # ids hold the seed


def test_hair_is_every_combination_with_beards_and_rear_hair():
    candidates = load("toon-head").candidates
    assert {role: len(choices) for role, choices in candidates.items()} == {
        "eyes": 5,
        "eyebrows": 5,
        "mouth": 5,
        "hair": 4 * 5 * 6,
        "clothes": 5,
    }
    assert {"hair": "bun", "rearHair": NONE, "beard": "fullBeard"} in candidates["hair"]


def test_too_many_combinations_leave_the_others_plain():
    hair = load("pixel-art").candidates["hair"]
    assert len(hair) == 45
    assert {choice["beard"] for choice in hair} == {NONE}


def test_a_style_without_a_component_for_hair_has_none():
    assert set(load("moods").candidates) == {"eyes", "mouth", "face"}


def test_components_that_masks_do_not_tell_are_named_with_their_plainest_variant():
    assert load("personas").unseen == {"nose": "smallRound"}
    assert load("micah").unseen == {"earrings": NONE, "ears": "attached", "glasses": NONE, "nose": "pointed"}


def test_a_figure_of_no_choices_still_has_what_holds_its_face():
    lorelei = load("lorelei")  # draws the head inside of the hair, eyes inside of the head
    assert 'id="eyes-' in lorelei.svg(lorelei.options({}))


def test_chosen_variants_and_colors_are_drawn():
    style = load("micah")
    hair = {"hair": "fonze", "facialHair": "beard"}
    options = style.options({"hair": hair}, {"hair": "#123456", "skin": "#abcdef"}, background="#fedcba")
    svg = style.svg(options)
    assert 'id="hair-fonze-' in svg
    assert 'id="facialHair-beard-' in svg
    assert {options[f"{name}Color"][0] for name in ("hair", "facialHair", "eyebrows")} == {"#123456"}
    for color in ("#123456", "#abcdef", "#fedcba"):
        assert color in svg


def test_a_color_of_its_own_wins_over_that_of_the_hair():
    options = load("micah").options({}, {"hair": "#123456", "eyebrowsColor": "#654321"})
    assert options["eyebrowsColor"] == ["#654321"]


def test_given_choices_are_drawn_at_random_around():
    style = load("toon-head")
    _, choices = random_options(style, np.random.default_rng(0), {"eyes": {"eyes": "wink"}})
    assert choices["eyes"] == {"eyes": "wink"}
    assert set(choices) == set(style.candidates)


def test_beards_are_as_rare_as_the_style_says():
    lorelei, rng = load("lorelei"), np.random.default_rng(0)
    bearded = [random_options(lorelei, rng)[1]["hair"]["beard"] != NONE for _ in range(300)]
    assert 0.01 < np.mean(bearded) < 0.1  # 5%


def test_frequencies_are_those_of_the_style():
    toon_head = load("toon-head")
    candidates = toon_head.candidates["hair"]
    frequencies = toon_head.frequencies(candidates)
    assert frequencies.sum() == pytest.approx(1)
    for component, share in {"rearHair": 0.5, "beard": 0.5}.items():  # the definition's probabilities
        assert frequencies[[choice[component] == NONE for choice in candidates]].sum() == pytest.approx(share)
    assert np.allclose(toon_head.frequencies(toon_head.candidates["eyes"]), 1 / 5)
    assert np.allclose(load("pixel-art").frequencies(load("pixel-art").candidates["hair"]), 1 / 45)


def test_creator_and_license_are_in_every_picture():
    style = load("toon-head")
    assert (style.creator, style.license) == ("Johan Melin", "CC BY 4.0")
    svg = style.svg(style.options({}))
    assert "Johan Melin" in svg
    assert style.license_url in svg


def test_a_style_of_ones_own_is_read_from_its_file(tmp_path):
    style = DrawingStyle.load(own_style(tmp_path))
    assert style.name == "mine"
    assert len(style.candidates["eyes"]) == 5


def _first_eyes(definition):
    return definition["components"]["eyes"]["variants"]["open"]["elements"]


def _element(name, children=(), **attributes):
    return {"type": "element", "name": name, "attributes": attributes, "children": list(children)}


def _nested(definition):
    """Components of ten components each: ten million shapes."""
    parts = {"type": "component", "name": "eyes"}
    for depth in range(7):
        name = f"level{depth}"
        definition["components"][name] = {"width": 1, "height": 1, "variants": {"a": {"elements": [parts] * 10}}}
        parts = {"type": "component", "name": name}
    definition["canvas"]["elements"].append(parts)


def _circular_colors(definition):
    definition["colors"]["skin"]["contrastTo"] = "ink"
    definition["colors"]["ink"]["contrastTo"] = "skin"


HOSTILE = {
    "a script": lambda d: _first_eyes(d).append(_element("script")),
    "an event handler": lambda d: _first_eyes(d).append(_element("path", onload="alert(1)")),
    "HTML": lambda d: _first_eyes(d).append(_element("foreignObject")),
    "an outside reference": lambda d: _first_eyes(d).append(_element("image", href="https://example.com/a.png")),
    "a file": lambda d: _first_eyes(d).append(_element("image", href="file:///etc/passwd")),
    "an image that unpacks": lambda d: _first_eyes(d).append(_element("image", href="data:image/png;base64,iVBO")),
    "an outside fill": lambda d: _first_eyes(d).append(_element("path", fill="url(https://example.com/a.svg#b)")),
    "an imported style": lambda d: _first_eyes(d).append(
        {"type": "element", "name": "style", "children": [{"type": "text", "value": "@import 'https://example.com'"}]}
    ),
    "elements that repeat others": lambda d: _first_eyes(d).append(_element("use", href="#a")),
    "a filter": lambda d: _first_eyes(d).append(_element("feTurbulence", numOctaves="99999")),
    "a hidden repetition": lambda d: _first_eyes(d).append(_element("g", [_element("use", href="#a")])),
    "a component in itself": lambda d: _first_eyes(d).append({"type": "component", "name": "eyes"}),
    "components that multiply": _nested,
    "colors in a circle": _circular_colors,
    "no canvas": lambda d: d.pop("canvas"),
    "an empty canvas": lambda d: d["canvas"].update(elements=[]),
    "no face": lambda d: d.update(components={}, canvas=d["canvas"] | {"elements": [_element("path", d="M0 0h9v9Z")]}),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_and_useless_definitions_are_refused_in_one_line(tmp_path, change):
    with pytest.raises(UserError, match=r"mine\.json: .*; accepted: ") as error:
        DrawingStyle.load(own_style(tmp_path, change))
    assert "\n" not in str(error.value)


FILES = {
    "an entity bomb": b'<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><svg>&c;</svg>',
    "endless brackets": b"[" * 500_000,
    "no text": b"\xff\xfe\x00",
    "nothing": b"",
    "too much": b" " * (9 << 20),
}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES.keys())
def test_files_that_are_no_definition_are_refused_in_one_line(tmp_path, content):
    (tmp_path / "bad.json").write_bytes(content)
    with pytest.raises(UserError, match=r"bad\.json: .*; accepted: ") as error:
        DrawingStyle.load(str(tmp_path / "bad.json"))
    assert "\n" not in str(error.value)


def test_a_wrong_definition_is_told_its_place(tmp_path):
    with pytest.raises(UserError, match="wrong at /components/eyes/variants/open/elements/2/attributes"):
        DrawingStyle.load(own_style(tmp_path, HOSTILE["an event handler"]))


def test_missing_files_and_unknown_names_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"none\.json: No such file.*; accepted: "):
        DrawingStyle.load(str(tmp_path / "none.json"))
    with pytest.raises(UserError, match="style 'tun-head': unknown; accepted: .*toon-head"):
        DrawingStyle.load("tun-head")
    with pytest.raises(UserError, match="unknown"):
        DrawingStyle.load("../dicebear_styles/toon-head")
