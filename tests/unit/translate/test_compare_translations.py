"""Several models' translations of the same held-out portraits, side by side."""

import numpy as np
import pytest
from helpers.translate import write_portraits
from helpers.translators import SIZE, save_translator, translator
from PIL import Image

from facemill.data.shards import decode_image, read_rows
from facemill.data.splits import held_out
from facemill.errors import UserError
from facemill.translate.compare_translations import compare_translations

HOLDOUT = 0.5
GAP = 6


@pytest.fixture
def portraits(tmp_path):
    return [write_portraits(tmp_path / "portraits.parquet", 60, 12, SIZE, SIZE)]


@pytest.fixture
def models(tmp_path):
    return [
        save_translator(tmp_path / name, method=name, holdout=HOLDOUT, crop="top", detector=None)
        for name in ("cyclegan", "cut")
    ]


def held_out_of(shards):
    rows = [row for row in read_rows(shards, ["id", "image"]) if held_out(row["id"], HOLDOUT)]
    return np.stack([decode_image(row["image"]["bytes"]) for row in rows])


def cells(picture, rows, columns):
    """The cells of a grid at its right border, each shrunk to a portrait."""
    image = Image.open(picture)
    left = image.width - columns * (128 + GAP)
    boxes = [[(left + x * (128 + GAP), GAP + y * (128 + GAP)) for x in range(columns)] for y in range(rows)]
    read = [
        [image.crop((x, y, x + 128, y + 128)).resize((SIZE, SIZE), Image.Resampling.BOX) for x, y in row]
        for row in boxes
    ]
    return np.array([[np.asarray(cell) for cell in row] for row in read])


def test_each_row_holds_what_a_model_makes_of_the_held_out_portraits(tmp_path, portraits, models):
    out, images = tmp_path / "ways.png", held_out_of(portraits)
    compare_translations(models=models, portraits=portraits, truth=portraits, out=out, count=100)
    rows = cells(out, 4, len(images))
    expected = [images, *(translator(model).translate(images) for model in models), images]
    assert (rows == np.array(expected)).all()


def test_portraits_are_evenly_spaced(tmp_path, portraits, models):
    out, images = tmp_path / "ways.png", held_out_of(portraits)
    compare_translations(models=models[:1], portraits=portraits, out=out, count=2)
    assert (cells(out, 1, 2)[0] == images[[0, -1]]).all()


@pytest.mark.parametrize(
    ("settings", "match"),
    [({"holdout": 0.1}, "found 0.5 in .*, 0.1 in .*; accepted: one share"), ({}, "found 0.5 in .*, None in .*")],
)
def test_models_that_held_out_other_portraits_are_refused(tmp_path, portraits, models, settings, match):
    other = save_translator(tmp_path / "other", method="cut", **settings)
    with pytest.raises(UserError, match=match):
        compare_translations(models=[models[0], other], portraits=portraits, out=tmp_path / "ways.png")


def test_shards_without_the_true_answers_are_refused(tmp_path, portraits, models):
    truth = [write_portraits(tmp_path / "truth.parquet", 60, 1, SIZE, SIZE)]
    with pytest.raises(UserError, match="truth.parquet: no row of .*; accepted: rows of the portraits' ids"):
        compare_translations(models=models, portraits=portraits, truth=truth, out=tmp_path / "ways.png")


@pytest.mark.parametrize(("out", "count"), [("ways.jpg", 3), ("ways.png", 0)])
def test_other_pictures_and_none_are_refused(tmp_path, portraits, models, out, count):
    with pytest.raises(UserError, match="--out .*, --count .*; accepted: a .png, and 1 or more portraits"):
        compare_translations(models=models, portraits=portraits, out=tmp_path / out, count=count)
