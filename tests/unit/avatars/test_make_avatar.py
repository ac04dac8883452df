"""Avatars of photos, by a network that knows classes by their colors."""

import hashlib
import json
import logging
import shutil

import numpy as np
import pytest
from helpers.scenes import ColorUnet, save_unet
from PIL import Image

from facemill.avatars.make_avatar import make_avatar
from facemill.avatars.part_maps import seven_mask
from facemill.avatars.render_parts import render_parts
from facemill.avatars.styles import DrawingStyle, random_options
from facemill.data.classes import SEVEN
from facemill.errors import UserError
from facemill.imaging.figures import colorize
from facemill.inference.segmenter import Segmenter

FACE = (0xFE, 0xFB, 0xE5)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """The parts of the style emoji."""
    folder = tmp_path_factory.mktemp("results") / "parts"
    products = {"parts": folder / "emoji.parquet", "about": folder / "emoji.json", "sheet": folder / "emoji.png"}
    render_parts(style="emoji", size=64, looks=1, seed=1, **products)
    return folder


@pytest.fixture
def unet(tmp_path, monkeypatch):
    """A U-Net's file; in its stead a network segments that takes the classes' display colors for the classes."""
    monkeypatch.setattr(Segmenter, "load", lambda _: Segmenter(ColorUnet(128), SEVEN))
    return save_unet(tmp_path / "unet/model.safetensors")


@pytest.fixture
def photo():
    """Draws a head of toon-head in the classes' display colors."""
    style = DrawingStyle.load("toon-head")

    def draw(seed: int) -> Image.Image:
        options, _ = random_options(style, np.random.default_rng(seed))
        return Image.fromarray(colorize(seven_mask(style.svg(options), style, 128), SEVEN))

    return draw


def test_a_photo_has_an_svg_a_png_and_a_json_that_draws_it_again(unet, parts, photo, tmp_path):
    photo(1).save(tmp_path / "me.png")
    make_avatar(image=tmp_path / "me.png", unet=unet, style=["emoji"], parts=parts, out=tmp_path / "out", size=70)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"me-emoji.{s}" for s in ("json", "png", "svg")
    ]
    told = json.loads((tmp_path / "out/me-emoji.json").read_text())
    style = DrawingStyle.load("emoji")
    assert style.svg(told["options"]) == (tmp_path / "out/me-emoji.svg").read_text()
    assert Image.open(tmp_path / "out/me-emoji.png").size == (70, 70)
    assert (told["creator"], told["license"]) == (style.creator, style.license)
    assert told["sha256"] == {
        "unet": hashlib.sha256(unet.read_bytes()).hexdigest(),
        "image": hashlib.sha256((tmp_path / "me.png").read_bytes()).hexdigest(),
    }
    assert set(told["roles"]) == {"eyes", "mouth", "face"}
    for role, matched in told["roles"].items():
        assert matched["variants"] in style.candidates[role]
        assert matched["nearest"][0] == {"variants": matched["variants"], "distance": matched["distance"]}
    assert told["colors"]["skin"]["difference"] < 3


def test_of_a_folder_all_images_but_the_bad_ones_have_avatars(unet, parts, photo, tmp_path):
    images = tmp_path / "images"
    (images / "more").mkdir(parents=True)
    photo(1).save(images / "a.png")
    photo(2).convert("L").convert("RGB").save(images / "gray.png")
    photo(3).save(images / "more/a.jpg", quality=95)
    photo(4).save(images / "twice.png")
    photo(5).save(images / "twice.bmp")
    photo(6).resize((5, 5)).save(images / "tiny.png")
    Image.new("RGB", (128, 128), "#282235").save(images / "faceless.png")
    (images / "broken.jpg").write_bytes((images / "more/a.jpg").read_bytes()[:300])
    with pytest.raises(UserError) as caught:
        make_avatar(image=images, unet=unet, style=["emoji"], parts=parts, out=tmp_path / "out", size=48)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{len(lines) - 1} of 8 images have no avatar:"
    for name, reason in (("broken.jpg", "cannot be read"), ("faceless.png", "no face"), ("tiny.png", "5 x 5 pixels")):
        assert any(name in line and reason in line for line in lines[1:]), (name, lines)
    made = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.svg")}
    assert {"a-emoji.svg", "more/a-emoji.svg", "twice.png-emoji.svg", "twice.bmp-emoji.svg"} <= made
    assert not any(path.name.startswith(".") for path in (tmp_path / "out").rglob("*"))


def test_a_style_of_ones_own_is_rendered_first(unet, parts, photo, tmp_path, caplog):
    definition = DrawingStyle.load("emoji").definition
    own = tmp_path / "mine.json"
    own.write_text(json.dumps(definition))
    photo(1).save(tmp_path / "me.png")
    caplog.set_level(logging.INFO, "facemill")
    make_avatar(image=tmp_path / "me.png", unet=unet, style=[str(own), "emoji"], parts=parts, out=tmp_path, looks=1)
    assert "the parts of mine are rendered first" in caplog.text
    told = json.loads((tmp_path / "me-mine.json").read_text())
    assert DrawingStyle.load(str(own)).svg(told["options"]) == (tmp_path / "me-mine.svg").read_text()
    assert (tmp_path / "me-emoji.svg").exists()


def test_statistics_beside_the_parts_are_those_of_the_collection(unet, parts, photo, tmp_path, caplog):
    photo(1).save(tmp_path / "me.png")
    options = {"image": tmp_path / "me.png", "unet": unet, "style": ["emoji"], "out": tmp_path / "out", "size": 32}
    make_avatar(**options, parts=parts)
    assert "without --statistics" in caplog.text
    caplog.clear()
    shutil.copytree(parts, tmp_path / "results/parts")
    (tmp_path / "results/statistics.safetensors").write_bytes(b"damaged")
    with pytest.raises(UserError, match="damaged"):
        make_avatar(**options, parts=tmp_path / "results/parts")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image": "none.png"}, "none.png: no such file"),
        ({"style": ["nobody"]}, "nobody"),
        ({"style": ["emoji", "x/emoji.json"]}, "have one name"),
        ({"background": "blue"}, "--background blue: accepted"),
        ({"background": "#12345g"}, "accepted"),
        ({"size": 0}, "--size 0: accepted"),
        ({"looks": 0}, "--looks 0: accepted"),
        ({"unet": "nowhere"}, "nowhere"),
        ({"statistics": "gone.safetensors"}, "gone.safetensors: no such file"),
    ],
)
def test_mistakes_are_one_line(parts, photo, tmp_path, options, message):
    photo(1).save(tmp_path / "me.png")
    unet = save_unet(tmp_path / "unet/model.safetensors")
    given = {"image": tmp_path / "me.png", "unet": unet, "style": ["emoji"], "parts": parts, "out": tmp_path / "out"}
    for name in ("image", "unet", "statistics"):
        if name in options:
            options = options | {name: tmp_path / options[name]}
    with pytest.raises(UserError, match=message) as caught:
        make_avatar(**given | options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_avatars_lie_apart_from_a_folder_of_images(unet, parts, photo, tmp_path):
    (tmp_path / "images").mkdir()
    photo(1).save(tmp_path / "images/a.png")
    with pytest.raises(UserError, match="--out"):
        make_avatar(image=tmp_path / "images", unet=unet, style=["emoji"], parts=parts, out=tmp_path / "images/out")
