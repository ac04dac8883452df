"""Photos cropped as a collection's portraits."""

import json

import numpy as np
import pytest
from helpers.bombs import bomb
from helpers.faces import faces_at, write_cascade
from PIL import Image

from facemill.avatars.photos import Collection
from facemill.errors import UserError


@pytest.fixture
def results(tmp_path):
    """The folder of a run's results, with that of its U-Net."""
    (tmp_path / "unet/v3").mkdir(parents=True)
    return tmp_path


def striped(width, height):
    """An image whose red tells the column, and whose green the row."""
    rows, columns = np.mgrid[:height, :width]
    return Image.fromarray(np.dstack([columns, rows, np.zeros_like(rows)]).astype(np.uint8))


def config(results, **portraits):
    settings = {"portraits": {"size": 64, "shards": 1} | portraits, "holdout": 0.1}
    (results / "config.yaml").write_text(json.dumps(settings))


def test_without_a_run_a_portrait_is_the_square_in_the_middle(results, tmp_path):
    striped(200, 100).save(tmp_path / "photo.png")
    portrait = Collection.of(results / "unet/v3").portrait(tmp_path / "photo.png")
    assert portrait.shape == (100, 100, 3)
    assert (portrait[0, 0] == (50, 0, 0)).all()


@pytest.mark.parametrize("unet", ["unet/v3", "unet/v3/model.safetensors"])
def test_a_portrait_is_cropped_as_the_run_says(results, tmp_path, unet):
    config(results, ratio=2, crop="top")
    striped(100, 240).save(tmp_path / "photo.png")
    portrait = Collection.of(results / unet).portrait(tmp_path / "photo.png")
    assert portrait.shape == (200, 100, 3)
    assert (portrait[0, 0] == 0).all()


def test_an_image_of_the_collections_size_is_a_portrait(results, tmp_path):
    config(results, ratio=2, detector={"kind": "cascade", "cascade": str(write_cascade(tmp_path))}, crop="face")
    striped(32, 64).save(tmp_path / "photo.png")
    portrait = Collection.of(results / "unet/v3").portrait(tmp_path / "photo.png")
    assert (portrait == np.asarray(striped(32, 64))).all()


def test_the_gaugan_tells_of_a_collection_without_settings(results, tmp_path):
    (results / "gaugan").mkdir()
    (results / "gaugan/model.json").write_text(json.dumps({"settings": {"crop": "top"}}))
    striped(100, 200).save(tmp_path / "photo.png")
    portrait = Collection.of(results / "unet/v3").portrait(tmp_path / "photo.png")
    assert (portrait[0, 0] == 0).all()


def test_a_cascade_finds_the_face(results, tmp_path):
    Image.fromarray(faces_at((250, 120, 100))).save(tmp_path / "photo.png")
    portrait = Collection.of(results / "unet/v3", write_cascade(tmp_path)).portrait(tmp_path / "photo.png")
    rows, columns = np.nonzero(portrait[..., 0] == 0)
    middle = np.array(portrait.shape[:2]) / 2
    assert abs(columns.mean() - middle[1]) < 12 and rows.max() < middle[0] + 12
    assert portrait.shape[0] < 250


def test_large_photos_are_reduced(results, tmp_path):
    Image.new("RGB", (2000, 1500)).save(tmp_path / "photo.jpg")
    assert Collection.of(results / "unet/v3").portrait(tmp_path / "photo.jpg").shape == (512, 512, 3)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "cannot be read"), (b"GIF89a", "cannot be read"), (bomb(), "decompression bomb")],
)
def test_what_is_no_picture_is_refused(results, tmp_path, content, reason):
    (tmp_path / "photo.png").write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        Collection.of(results / "unet/v3").portrait(tmp_path / "photo.png")


def test_a_tiny_picture_is_refused(results, tmp_path):
    striped(5, 5).save(tmp_path / "photo.png")
    with pytest.raises(ValueError, match="5 x 5 pixels; accepted: at least 32"):
        Collection.of(results / "unet/v3").portrait(tmp_path / "photo.png")


def test_faults_of_settings_and_detectors_are_one_line(results, tmp_path):
    with pytest.raises(UserError, match=r"--cascade .*none.xml"):
        Collection.of(results / "unet/v3", tmp_path / "none.xml")
    config(results, detector={"kind": "cascade", "cascade": "gone.xml"})
    with pytest.raises(UserError, match=r"gone.xml.*--cascade FILE"):
        Collection.of(results / "unet/v3")
    (results / "config.yaml").write_text("portraits: {size: 7}")
    with pytest.raises(UserError, match=r"config.yaml: .*accepted: settings of a run"):
        Collection.of(results / "unet/v3")
    (results / "config.yaml").unlink()
    (results / "gaugan").mkdir()
    (results / "gaugan/model.json").write_text(json.dumps({"settings": {"crop": "sideways"}}))
    with pytest.raises(UserError, match=r"model.json: .*accepted: settings of a model"):
        Collection.of(results / "unet/v3")
