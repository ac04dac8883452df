"""Candidates that contradict what a portrait plainly shows."""

import numpy as np
import pytest

from facemill.avatars.matching import Library
from facemill.avatars.part_maps import over, picture, seven_mask
from facemill.avatars.plausible import SHAVEN, beard, contradicted, evenness
from facemill.avatars.regions import cut_parts
from facemill.avatars.statistics import Statistics
from facemill.avatars.styles import DrawingStyle

SIZE = 160


@pytest.fixture(scope="module")
def figures():
    """Shaven figures of toon-head with each of its eyes and mouths, and one with each beard: parts and choices."""
    style = DrawingStyle.load("toon-head")
    hair = [c for c in style.candidates["hair"] if c["hair"] == "undercut" and c["rearHair"] == "none"]
    faces = zip(style.candidates["eyes"], style.candidates["mouth"], strict=True)
    usual = {"eyes": {"eyes": "happy"}, "mouth": {"mouth": "smile"}}
    wanted = [{"eyes": eyes, "mouth": mouth, "hair": hair[0]} for eyes, mouth in faces]
    drawn = []
    for choices in [*wanted, *({**usual, "hair": beards} for beards in hair[1:])]:
        svg = style.svg(style.options(choices))
        drawn.append((cut_parts(over(picture(svg, SIZE)), seven_mask(svg, style, SIZE), looks=2), choices))
    return style, drawn


@pytest.fixture(scope="module")
def library(figures):
    style, drawn = figures
    drawn_of = {"eyes": drawn[:5], "mouth": drawn[:5], "hair": drawn}  # beards hide mouths
    rows = {role: np.stack([parts[role].descriptor for parts, _ in of]) for role, of in drawn_of.items()}
    candidates = {
        role: np.array([style.candidates[role].index(c[role]) for _, c in of]) for role, of in drawn_of.items()
    }
    return Library.of(style, style.candidates, rows, candidates, {})


@pytest.fixture(scope="module")
def collection(figures):
    """Statistics of a collection with open eyes."""
    awake = [parts for parts, choices in figures[1][:5] if choices["eyes"]["eyes"] in ("happy", "wide")]
    mouths = [parts["mouth"].descriptor for parts, _ in figures[1][:5]]
    return Statistics.of({"eyes": np.stack([p["eyes"].descriptor for p in awake]), "mouth": np.stack(mouths)})


def excluded(library, role, parts, collection):
    """The variants of a role that a portrait of these parts contradicts."""
    out = contradicted(role, parts[role].descriptor[None], [parts["face"].descriptor], library, collection)[0]
    return {choice[role] for choice, is_out in zip(library.roles[role], out, strict=True) if is_out}


def test_beards_are_told_by_the_outline_of_the_face(figures):
    _, drawn = figures
    shares = {choices["hair"]["beard"]: beard(parts["face"].descriptor) for parts, choices in drawn}
    assert shares["none"] < 0.03
    assert all(shares[kind] > SHAVEN for kind in ("fullBeard", "longBeard", "moustacheTwirl", "chinMoustache"))


def test_the_shaven_get_no_beard_and_the_bearded_may(figures, library):
    for parts, choices in figures[1]:
        face = [parts["face"].descriptor]
        out = contradicted("hair", parts["hair"].descriptor[None], face, library, library.statistics)[0]
        bearded = np.array([choice["beard"] != "none" for choice in library.roles["hair"]])
        assert (out == (bearded & (choices["hair"]["beard"] in ("none", "chin")))).all()


def test_without_a_face_there_is_no_beard(figures, library):
    parts, _ = figures[1][0]
    out = contradicted("hair", parts["hair"].descriptor[None], [None], library, library.statistics)[0]
    assert out.any()
    assert not out[library.roles["hair"].index({"hair": "bun", "rearHair": "none", "beard": "none"})]


@pytest.mark.parametrize(
    ("role", "shown", "out"),
    [
        ("eyes", "happy", {"bow", "humble", "wink"}),
        ("eyes", "humble", {"happy", "wide", "wink"}),
        ("eyes", "wink", {"bow", "humble"}),
        ("mouth", "agape", {"sad", "smile"}),
        ("mouth", "sad", {"agape", "laugh", "angry"}),
    ],
)
def test_open_and_shut_and_winks_do_not_meet(figures, library, collection, role, shown, out):
    parts = next(parts for parts, choices in figures[1] if choices[role] == {role: shown})
    assert excluded(library, role, parts, collection) == out


def test_a_wink_is_uneven_on_either_side(figures):
    parts = next(parts for parts, choices in figures[1] if choices["eyes"] == {"eyes": "wink"})
    descriptor = parts["eyes"].descriptor
    flipped = descriptor.copy()
    flipped[:576] = descriptor[:576].reshape(24, 24)[:, ::-1].ravel()
    assert evenness(np.stack([descriptor, flipped])) == pytest.approx(np.full(2, 0.2), abs=0.1)


def test_where_all_contradict_none_does(figures, library, collection):
    """As in a style that has shut eyes alone."""
    _, drawn = figures
    style = library.style
    shut = [(parts, c) for parts, c in drawn if c["eyes"]["eyes"] in ("bow", "humble")]
    roles = {"eyes": tuple(c["eyes"] for _, c in shut)}
    rows = {"eyes": np.stack([parts["eyes"].descriptor for parts, _ in shut])}
    sleepy = Library.of(style, roles, rows, {"eyes": np.arange(len(shut))}, {})
    awake = next(parts for parts, c in drawn if c["eyes"]["eyes"] == "wide")
    assert excluded(sleepy, "eyes", awake, collection) == set()


def scaled(descriptor, factor):
    """The descriptor of eyes or a mouth so many times as high."""
    changed = descriptor.copy()
    changed[-5] -= np.log(factor)
    changed[-3] += np.log(factor)
    return changed


def test_eyes_are_open_beside_the_usual_ones_of_their_collection(figures, library):
    """Those of photos are lower than shut ones of drawings."""
    parts = next(parts for parts, choices in figures[1] if choices["eyes"] == {"eyes": "happy"})
    photo = scaled(parts["eyes"].descriptor, 0.2)[None]
    names = [choice["eyes"] for choice in library.roles["eyes"]]
    of_photos = Statistics.of({"eyes": np.repeat(photo, 3, 0)})
    out = contradicted("eyes", photo, [None], library, of_photos)[0]
    assert {name for name, is_out in zip(names, out, strict=True) if is_out} == {"bow", "humble", "wink"}


def test_lips_in_masks_open_no_mouths(figures, library):
    parts = next(parts for parts, choices in figures[1] if choices["mouth"] == {"mouth": "smile"})
    lips = scaled(parts["mouth"].descriptor, 5)[None]
    names = [choice["mouth"] for choice in library.roles["mouth"]]
    for usual, expected in ((lips, set()), (scaled(lips[0], 2)[None], {"agape", "laugh", "angry"})):
        out = contradicted("mouth", lips, [None], library, Statistics.of({"mouth": usual}))[0]
        assert {name for name, is_out in zip(names, out, strict=True) if is_out} == expected
