"""Saved edits: three files that other programs read, and a PNG that brings the edit back or is refused in words."""

import base64
import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.studio_models import Z_DIM, draw_mask, write_results
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs
from PIL import Image

from facemill.data.classes import IGNORE, SEVEN, Class, ClassTable
from facemill.data.shards import decode_mask
from facemill.errors import UserError
from facemill.files import sha256
from facemill.studio.messages import Slider, State, Style
from facemill.studio.painting import Studio
from facemill.studio.paths import find_paths
from facemill.studio.saving import SIGNATURE, open_saved, save
from facemill.synthesize.generate_portraits import generate_portraits

MASK = draw_mask(3)
MASK[:2] = IGNORE
STATE = State(
    n=9,
    styles=[Style(seed=7), Style(portrait=2)],
    mix=0.25,
    truncation=0.75,
    sliders={"hair_color": Slider("grey_hair", 1.15), "open_mouth": Slider("open_mouth", -0.5)},
    size=MASK.shape,
)


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    return write_results(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def studio(results) -> Studio:
    return Studio.load(find_paths(results))


@pytest.fixture(scope="module")
def png(studio, tmp_path_factory) -> bytes:
    return save(studio, STATE, MASK, tmp_path_factory.mktemp("edits"))[1]


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def saved(about: object, head: bytes = b"facemill\0\0\0\0\0") -> bytes:
    """A PNG with this JSON, of a width that nothing could decode."""
    text = about if isinstance(about, bytes) else json.dumps(about).encode()
    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    return SIGNATURE + chunk(b"IHDR", header) + chunk(b"iTXt", head + text) + chunk(b"IEND", b"")


def deflated(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content)).decode()


ABOUT = {
    "state": {"styles": [{"seed": 7}], "size": [2, 3]},
    "classes": list(SEVEN.names),
    "mask": deflated(bytes([0, 1, 2, 3, 6, 255])),
}


def test_the_portrait_is_what_generate_portraits_paints_of_the_saved_mask(studio, results, tmp_path):
    state = State(styles=[Style(seed=7)], size=MASK.shape)
    paths, encoded = save(studio, state, MASK, tmp_path / "edits")
    portrait, mask, _ = paths
    assert [path.name.partition(".")[2] for path in paths] == ["png", "mask.png", "json"]
    assert portrait.read_bytes() == encoded and len({path.name.partition(".")[0] for path in paths}) == 1
    assert np.array_equal(decode_mask(mask.read_bytes(), SEVEN), MASK)
    (tmp_path / "masks").mkdir()
    mask.rename(tmp_path / "masks/a.png")
    generate_portraits(model=results / "gaugan", masks=tmp_path / "masks", out=tmp_path / "out", seed=7)
    assert np.array_equal(Image.open(tmp_path / "out/a.png"), Image.open(portrait))


def test_the_json_says_how_the_portrait_was_made(studio, results, tmp_path):
    (portrait, _, about), _ = save(studio, STATE, MASK, tmp_path)
    content = json.loads(about.read_text())
    assert content["model"] == str(results / "gaugan") and content["facemill"]
    assert content["sha256"]["model"] == sha256(results / "gaugan/model.safetensors")
    assert set(content["sha256"]) == {"model", "style_encoder", "vectors"}
    assert content["seen"].keys() == {"hair_color"}
    z = torch.tensor(content["z"])[None]
    assert z.shape == (1, Z_DIM)
    expected = studio.painter.generate(torch.from_numpy(MASK)[None], z)[0]
    assert np.array_equal(Image.open(portrait), expected)
    assert np.array_equal(studio.paint(STATE, MASK).z, z[0].numpy())


def test_the_png_brings_the_edit_back(studio, png):
    look, mask = open_saved(png, SEVEN)
    assert np.array_equal(mask, MASK)
    assert look.styles == [Style(seed=7), Style(z=studio.portrait(2).z)]  # a collection may change
    assert (look.mix, look.truncation, look.sliders, look.size) == (0.25, 0.75, STATE.sliders, MASK.shape)
    assert studio.paint(State(**structs.asdict(look)), mask).body == studio.paint(STATE, MASK).body


def test_the_same_again_is_the_same_picture_under_another_name(studio, tmp_path):
    saved_twice = [save(studio, STATE, MASK, tmp_path) for _ in range(2)]
    assert saved_twice[0][1] == saved_twice[1][1]
    assert len(list(tmp_path.iterdir())) == 6


def test_a_mask_is_saved_at_its_own_size(studio, tmp_path):
    large = draw_mask(5, 200)
    (portrait, mask, _), encoded = save(studio, State(styles=[Style(seed=1)], size=large.shape), large, tmp_path)
    assert Image.open(portrait).size == (64, 64)
    assert np.array_equal(decode_mask(mask.read_bytes(), SEVEN), large)
    assert np.array_equal(open_saved(encoded, SEVEN)[1], large)


def test_what_cannot_be_saved_leaves_nothing(studio, tmp_path, monkeypatch):
    def full(*_) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("facemill.studio.saving.write_json", full)
    with pytest.raises(OSError, match="No space left"):
        save(studio, STATE, MASK, tmp_path)
    assert not list(tmp_path.iterdir())


def test_no_picture_is_not_saved(results, tmp_path):
    broken = Studio.load(find_paths(results))
    broken.painter.generator.last.bias.data[1] = np.nan
    with pytest.raises(UserError, match="the model returned no picture"):
        save(broken, State(styles=[Style(seed=7)], size=MASK.shape), MASK, tmp_path / "edits")
    assert not (tmp_path / "edits").exists()


def test_a_small_file_is_read_whatever_its_header_says():
    look, mask = open_saved(saved(ABOUT | {"unknown": 1}), SEVEN)
    assert mask.tolist() == [[0, 1, 2], [3, 6, 255]] and look.truncation == 1


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "no portrait that the studio saved"),
        (b"no PNG at all", "no portrait that the studio saved"),
        (SIGNATURE + b"\xff" * 40, "no portrait that the studio saved"),
        (SIGNATURE + chunk(b"IEND", b""), "no portrait that the studio saved"),
        (saved(ABOUT, b"facemill\0\1\0\0\0"), "no portrait that the studio saved"),  # compressed, perhaps a bomb
        (saved(ABOUT, b"facemills\0\0\0\0\0"), "no portrait that the studio saved"),
        (saved(b" " * (1 << 22) + json.dumps(ABOUT).encode()), "no portrait that the studio saved"),
        (saved(b""), "cannot be read"),
        (saved(b"\xff\xfe"), "cannot be read"),
        (saved(b"[" * 100_000), "cannot be read"),
        (saved({}), "missing required field `state`"),
        (saved(ABOUT | {"state": {"styles": [{"seed": 7}], "size": [2000, 3]}}), "size"),
        (saved(ABOUT | {"state": {"styles": [{"seed": 7}], "size": [2, 3], "mix": 2}}), "mix"),
        (saved(json.dumps(ABOUT).replace("[2, 3]", "[2, NaN]").encode()), "cannot be read"),
        (saved(ABOUT | {"mask": "/"}), "cannot be read"),
        (saved(ABOUT | {"mask": base64.b64encode(b"no zlib").decode()}), "cannot be read"),
        (saved(ABOUT | {"mask": deflated(bytes(5))}), "2 x 3 pixels has 5 bytes"),
        (
            saved(ABOUT | {"mask": deflated(bytes(1 << 28))}),
            "2 x 3 pixels has 7 bytes",
        ),  # of which no more are inflated
        (saved(ABOUT | {"mask": deflated(bytes([0, 1, 2, 3, 6, 7]))}), "class id 7"),
    ],
)
def test_what_the_studio_did_not_save_is_refused(content, fault):
    with pytest.raises(UserError, match=fault) as raised:
        open_saved(content, SEVEN)
    assert "\n" not in str(raised.value)


def test_a_mask_of_other_classes_is_refused(png):
    two = ClassTable(tuple(Class(name=n, color="#000000", role=r) for n, r in (("a", "background"), ("b", "face"))))
    with pytest.raises(UserError, match="has the classes background, skin.* accepted: a, b"):
        open_saved(png, two)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_damage_is_a_fault_of_ours(png, data):
    damaged = bytearray(png[: data.draw(st.integers(0, len(png)))] if data.draw(st.booleans()) else png)
    for place in data.draw(st.lists(st.integers(0, max(0, min(3000, len(damaged) - 1))), max_size=4)):
        if damaged:
            damaged[place] = data.draw(st.integers(0, 255))
    try:
        look, mask = open_saved(bytes(damaged), SEVEN)
    except UserError:
        return
    assert mask.shape == look.size and ((mask < 7) | (mask == IGNORE)).all()


def test_other_programs_show_the_png(png):
    with Image.open(io.BytesIO(png)) as picture:
        picture.load()
        assert picture.size == (64, 64) and json.loads(picture.info["facemill"])["classes"] == list(SEVEN.names)
