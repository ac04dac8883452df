"""Pictures and films in the manner of another collection: sizes, framing, the mark, faults."""

import io
import shutil
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from helpers.translators import SIZE, noise, read, save, save_translator, save_translators, translator
from PIL import Image

from facemill.data.synthetic import draw_mark, hashes, read_mark
from facemill.errors import UserError
from facemill.translate.fit import fitted
from facemill.translate.through_masks import FILES, ThroughMasks
from facemill.translate.translate_images import translate_images
from facemill.workflow.signatures import read_signature


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_translators(tmp_path_factory.mktemp("cyclegan"))


def test_a_portrait_is_translated_as_the_network_does(tmp_path, model):
    pixels = noise(SIZE, SIZE)
    image = save(tmp_path / "photo.png", pixels)
    for direction in ("a2b", "b2a"):
        out = tmp_path / direction
        translate_images(model=model, images=image, out=out, direction=direction, no_mark=True)
        expected = translator(model, direction).translate(pixels[None])[0]
        assert (read(out / "photo.png") == expected).all()
    assert (read(tmp_path / "a2b/photo.png") != read(tmp_path / "b2a/photo.png")).any()


def test_the_command_names_what_it_accepts():
    signature, _ = read_signature("facemill.translate.translate_images:translate_images")
    assert get_args(get_args(signature.parameters["direction"].annotation)[0]) == ("a2b", "b2a")
    assert get_args(get_args(signature.parameters["framing"].annotation)[0]) == ("portrait", "full")


def test_the_file_of_a_direction_is_a_model_too(tmp_path, model):
    image = save(tmp_path / "photo.png", noise(SIZE, SIZE))
    translate_images(model=model, images=image, out=tmp_path / "a")
    translate_images(model=model / "a2b.safetensors", images=image, out=tmp_path / "b")
    assert (tmp_path / "a/photo.png").read_bytes() == (tmp_path / "b/photo.png").read_bytes()


@pytest.fixture
def back(model, tmp_path):
    """A folder that holds b2a alone."""
    (tmp_path / "back").mkdir()
    for suffix in ("safetensors", "json"):
        shutil.copy(model / f"b2a.{suffix}", tmp_path / "back")
    return tmp_path / "back"


def test_a_model_of_one_direction_needs_no_option(tmp_path, model, back):
    image = save(tmp_path / "photo.png", noise(SIZE, SIZE))
    translate_images(model=model, direction="b2a", images=image, out=tmp_path / "a")
    for number, path in enumerate((back, back / "b2a.safetensors")):
        translate_images(model=path, images=image, out=tmp_path / str(number))
        assert (tmp_path / f"{number}/photo.png").read_bytes() == (tmp_path / "a/photo.png").read_bytes()


@pytest.mark.parametrize("name", ["", "b2a.safetensors"])
def test_a_direction_that_the_model_does_not_hold_is_refused(tmp_path, back, name):
    image = save(tmp_path / "photo.png", noise(SIZE, SIZE))
    with pytest.raises(UserError, match="--direction a2b: .*back.* holds another; accepted: b2a, or no --direction"):
        translate_images(model=back / name, direction="a2b", images=image, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_directions_of_a_way_through_masks_are_told_by_its_folders(tmp_path, model, monkeypatch):
    """The networks are left out: which folder is loaded is the question."""
    folder = tmp_path / "through_masks/b2a"
    folder.mkdir(parents=True)
    (folder / FILES[0]).write_bytes(b"")
    loaded = []
    monkeypatch.setattr(ThroughMasks, "load", lambda path: loaded.append(path) or translator(model))
    image = save(tmp_path / "photo.png", noise(SIZE, SIZE))
    for path in (folder.parent, folder):
        with pytest.raises(UserError, match="--direction a2b: .*through_masks.* holds another; accepted: b2a, or"):
            translate_images(model=path, direction="a2b", images=image, out=tmp_path / "out")
        assert not loaded
        with pytest.raises(UserError, match=r"bank\.json: no such model file"):
            translate_images(model=path, images=image, out=tmp_path / "out")
        assert loaded.pop() == folder


def test_images_are_cropped_as_the_collection_was_or_taken_in_full(tmp_path, model):
    high = noise(2 * SIZE, SIZE)
    image = save(tmp_path / "high.png", high)
    options = {"model": model, "images": image, "no_mark": True}
    translate_images(out=tmp_path / "portrait", **options)
    assert (read(tmp_path / "portrait/high.png") == translator(model).translate(high[None, :SIZE])[0]).all()
    translate_images(out=tmp_path / "full", framing="full", **options)
    assert (read(tmp_path / "full/high.png") == translator(model).translate(high[None])[0]).all()


def test_a_size_is_that_of_the_result(tmp_path, model):
    image = save(tmp_path / "photo.png", noise(100, 150))
    translate_images(model=model, images=image, out=tmp_path / "a", size=64)
    assert read(tmp_path / "a/photo.png").shape == (64, 64, 3)
    translate_images(model=model, images=image, out=tmp_path / "b", size=64, framing="full")
    assert read(tmp_path / "b/photo.png").shape == (64, 96, 3)


@pytest.mark.parametrize(
    ("size", "expected"), [((64, 64), (32, 32)), ((100, 150), (32, 48)), ((5, 5), (32, 32)), ((1000, 9), (3556, 32))]
)
def test_sides_are_multiples_of_four_and_the_shorter_that_of_a_portrait(size, expected):
    assert fitted(*size, 32) == expected


def test_a_folder_keeps_its_subfolders_and_every_image_its_own_bytes(tmp_path, model):
    folder = tmp_path / "in"
    for number in range(3):
        save(folder / f"{number}.png", noise(SIZE, SIZE, number))
    save(folder / "sub/wide.jpg", noise(SIZE, 3 * SIZE))
    for out in ("a", "b"):
        translate_images(model=model, images=folder, out=tmp_path / out, framing="full")
    written = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.png"))
    assert list(map(str, written)) == ["0.png", "1.png", "2.png", "sub/wide.png"]
    translate_images(model=model, images=folder / "1.png", out=tmp_path / "alone")
    for name in written:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert (tmp_path / "alone/1.png").read_bytes() == (tmp_path / "a/1.png").read_bytes()


def test_results_bear_the_mark(tmp_path, model):
    image = save(tmp_path / "photo.png", noise(SIZE, SIZE))
    translate_images(model=model, images=image, out=tmp_path / "plain", no_mark=True)
    translate_images(model=model, images=image, out=tmp_path / "marked")
    plain = read(tmp_path / "plain/photo.png")
    assert (read(tmp_path / "marked/photo.png") == draw_mark(plain)).all()
    for name in ("plain", "marked"):
        mark = read_mark(tmp_path / name / "photo.png")
        assert mark.source_type == "compositeWithTrainedAlgorithmicMedia"
        assert mark.models == hashes([model / "a2b.safetensors"])
        assert mark.ingredients == hashes([image])


def test_images_that_cannot_be_read_are_listed_and_the_others_translated(tmp_path, model):
    folder = tmp_path / "in"
    save(folder / "good.png", noise(SIZE, SIZE))
    save(folder / "good.jpg", noise(SIZE, SIZE))
    save(folder / "line.png", noise(1, 500))
    content = io.BytesIO()
    Image.fromarray(noise(SIZE, SIZE)).save(content, "PNG")
    (folder / "cut.png").write_bytes(content.getvalue()[:200])
    with pytest.raises(UserError) as fault:
        translate_images(model=model, images=folder, out=tmp_path / "out", framing="full")
    lines = str(fault.value).split("\n  ")
    assert lines[0] == "3 of 4 images are not translated:"
    assert "cut.png: cannot be read" in lines[1]
    assert lines[2].endswith("good.png: its translation would replace that of good.jpg")
    assert lines[3].endswith("line.png: 500 x 1 pixels become 16000 x 32; accepted: up to 4096 a side")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.png"]


def test_images_in_whose_place_lies_a_folder_are_listed(tmp_path, model):
    save(tmp_path / "in/a.jpg", noise(SIZE, SIZE))
    save(tmp_path / "in/a.png/b.jpg", noise(SIZE, SIZE))
    (tmp_path / "out/c.png").mkdir(parents=True)
    save(tmp_path / "in/c.jpg", noise(SIZE, SIZE))
    with pytest.raises(UserError) as fault:
        translate_images(model=model, images=tmp_path / "in", out=tmp_path / "out")
    first, *lines = str(fault.value).split("\n  ")
    assert first == "2 of 3 images are not translated:"
    for line, name in zip(lines, ("b.jpg", "c.jpg"), strict=True):
        assert f"{name}: its translation cannot be written (" in line
    assert [path.name for path in (tmp_path / "out").iterdir() if path.is_file()] == ["a.png"]


def test_gray_transparent_and_tiny_images_are_translated(tmp_path, model):
    folder = tmp_path / "in"
    save(folder / "gray.png", noise(40, 40)[..., 0])
    save(folder / "transparent.png", np.dstack([noise(40, 40), noise(40, 40)[..., 0]]))
    save(folder / "tiny.png", noise(5, 5))
    translate_images(model=model, images=folder, out=tmp_path / "out")
    assert {read(path).shape for path in (tmp_path / "out").iterdir()} == {(SIZE, SIZE, 3)}


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({}, "--images, --film: accepted: one of them"),
        ({"images": "in", "film": "in"}, "--images, --film: accepted: one of them"),
        ({"images": "none"}, "--images .*none: no such file or folder"),
        ({"images": "empty"}, "--images .*empty: no image among 0 files"),
        ({"images": "in/photo.png", "out": "in"}, r"--out .*in: .*photo\.png would be replaced"),
        ({"images": "in", "out": "in"}, "--out .*in: is --images"),
        ({"images": "in", "out": "in.png"}, r"--out .*in\.png: the name of an image; accepted: a folder"),
        ({"images": "in/photo.png", "out": "new.JPG"}, r"--out .*new\.JPG: the name of an image; accepted: a folder"),
        ({"images": "in/photo.png", "out": "in/photo.txt"}, r"--out .*photo\.txt: a file; accepted: a folder"),
        ({"images": "in/photo.png", "out": "in/photo.txt/new"}, r"photo\.txt is a file; accepted: a folder"),
        ({"images": "in", "unet": "in"}, "--unet: for faces in films; accepted: with --film"),
        ({"images": "in", "size": 30}, "--size 30: accepted: a multiple of 4 from 16 to 4096"),
        ({"images": "in", "size": 8}, "--size 8: accepted"),
        ({"images": "in", "size": 0}, "--size 0: accepted"),
        ({"images": "in", "tta": 5}, "--tta 5: accepted: 1 to 4"),
        ({"images": "in", "model": "none"}, "--model .*none: no such file or folder"),
        ({"images": "in", "model": "empty"}, "--model .*empty: no translator in it; accepted: a folder cyclegan or"),
        ({"images": "in", "model": "in/photo.png"}, r"--model .*photo\.png: accepted: a folder, or a file a2b\."),
        ({"film": "in", "framing": "portrait"}, "--framing: for images; accepted: with --images"),
        ({"film": "in/photo.txt", "out": "out.mp4"}, r"photo\.txt: not a film"),
        ({"film": "none.mp4", "out": "out.mp4"}, r"none\.mp4: no such film or folder"),
        ({"film": "in", "out": "out.mkv"}, r"out\.mkv: \.mkv is not written"),
        ({"film": "in", "out": "in"}, "in: would replace .*in, which is read"),
    ],
)
def test_mistakes_are_one_line(tmp_path, model, options, fault):
    save(tmp_path / "in/photo.png", noise(SIZE, SIZE))
    (tmp_path / "in/photo.txt").write_text("no picture")
    (tmp_path / "empty").mkdir()
    paths = {key: tmp_path / value for key, value in options.items() if isinstance(value, str) and key != "framing"}
    with pytest.raises(UserError, match=fault) as error:
        translate_images(**{"model": model, "out": tmp_path / "out"} | options | paths)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("ratio", "size", "shape"), [(2, None, (32, 16)), (2, 40, (40, 20)), (1.5, 48, (48, 32))])
def test_portraits_have_the_ratio_of_the_json(tmp_path, ratio, size, shape):
    image = save(tmp_path / "photo.png", noise(90, 60))
    translate_images(model=save_translator(tmp_path, ratio=ratio), images=image, out=tmp_path / "out", size=size)
    assert read(tmp_path / "out/photo.png").shape == (*shape, 3)


@pytest.mark.parametrize(
    ("settings", "size", "fault"),
    [
        ({"crop": "left"}, None, r"a2b\.json: settings\.crop: found 'left'; accepted: 'middle', 'top' or 'face'"),
        ({"ratio": 0}, None, r"a2b\.json: settings\.ratio: found 0; accepted: greater than or equal to 1"),
        ({"ratio": 4.5}, None, r"a2b\.json: settings\.ratio: found 4.5; accepted: less than or equal to 4"),
        ({"ratio": [1]}, None, r"a2b\.json: settings\.ratio: found \[1\]; accepted: a valid number"),
        ({"size": 30}, None, r"a2b\.json: settings\.size: found 30; accepted: a multiple of 4"),
        ({"ratio": 2}, 36, r"--size 36: .*a2b\.safetensors would have 18 x 36 pixels; accepted: .* multiple of 4"),
        ({"ratio": 2}, 20, r"--size 20: .*a2b\.safetensors would have 10 x 20 pixels; accepted: .* at least 16"),
        ({"ratio": 4}, 32, r"--size 32: .*a2b\.safetensors would have 8 x 32 pixels; accepted: .* at least 16"),
        ({"ratio": 3}, None, r"--size 32: .*a2b\.safetensors would have 11 x 32 pixels; accepted: a height"),
    ],
)
def test_portraits_that_do_not_suit_the_network_are_one_line(tmp_path, settings, size, fault):
    image = save(tmp_path / "photo.png", noise(SIZE, SIZE))
    with pytest.raises(UserError, match=fault) as error:
        translate_images(model=save_translator(tmp_path, **settings), images=image, out=tmp_path / "out", size=size)
    assert "\n" not in str(error.value)


def test_images_that_may_not_be_read_are_listed(tmp_path, model, monkeypatch):
    image = save(tmp_path / "photo.png", noise(SIZE, SIZE))

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(UserError, match=r"photo\.png: cannot be read .*Permission denied"):
        translate_images(model=model, images=image, out=tmp_path / "out")
