"""labelme files and index masks read into images with class masks."""

import base64

import numpy as np
import pytest
from helpers.label_files import EYE, FACE, HAIR, MERGE, MOUTH, SETTINGS, SKIN, box, write_index_mask, write_labelme
from PIL import ExifTags, Image, ImageOps

from facemill.config.label import LabelsConfig
from facemill.data.classes import IGNORE, SEVEN
from facemill.errors import UserError
from facemill.label.label_files import InvalidLabel, index_mask_files, labelme_files, read_labelme

IDS = SETTINGS.label_ids(SEVEN)


def test_every_label_has_the_id_of_its_class():
    assert (IDS["hat"], IDS["neck"], IDS["mouth"], IDS["__ignore__"]) == (HAIR, SKIN, MOUTH, IGNORE)


def test_labels_are_merged_and_unlabelled_pixels_are_background(tmp_path):
    shapes = [box("ear", 0, 0, 31, 31), box("hat", 16, 0, 31, 31), box("__ignore__", 40, 40, 50, 50)]
    write_labelme(tmp_path, "7", shapes)
    [source] = labelme_files(tmp_path, SETTINGS, SEVEN)
    expected = np.zeros((64, 64), np.uint8)
    expected[:32, :32] = SKIN
    expected[:32, 16:32] = HAIR
    expected[40:51, 40:51] = IGNORE
    assert source.path == tmp_path / "7.json" and np.array_equal(source.read().mask, expected)


def test_gaps_between_shapes_are_background_unless_they_are_to_be_filled(tmp_path):
    shapes = [box("hair", 0, 0, 30, 63), box("mouth", 33, 0, 50, 63), box("background", 10, 10, 10, 40)]
    write_labelme(tmp_path, "x", shapes)
    before, after = (read_labelme(tmp_path / "x.json", IDS, 1, gap).mask for gap in (0, 3))
    assert not before[:, 31:33].any() and (after[:, 31] == HAIR).all() and (after[:, 32] == MOUTH).all()
    after[:, 31:33] = 0  # all else is as it was: wide gaps, and background that is labelled
    assert np.array_equal(before, after)


def test_points_outside_the_image_are_a_warning_up_to_the_tolerance(tmp_path):
    write_labelme(tmp_path, "x", [box("hair", -1, 0, 9, 64.5)])
    labelled = read_labelme(tmp_path / "x.json", IDS, tolerance=1)
    assert labelled.mask[:, :10].all() and "shape 0 ('hair'): point (-1, 0) outside" in labelled.warnings[0]
    with pytest.raises(InvalidLabel, match=r"outside the image of 64 x 64 pixels; accepted: up to 0.5"):
        read_labelme(tmp_path / "x.json", IDS, tolerance=0.5)


def test_shapes_lie_on_the_image_as_its_exif_rotation_shows_it(tmp_path):
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, :20] = 255
    write_labelme(tmp_path, "1", [box("hair", 0, 0, 39, 19)], imageHeight=80, imageWidth=40, imagePath="1.jpg")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # shown turned clockwise: the left becomes the top
    Image.fromarray(pixels).save(tmp_path / "1.jpg", exif=exif)
    labelled = read_labelme(tmp_path / "1.json", IDS, tolerance=1)
    bright = np.asarray(labelled.picture)[..., 0] > 127
    assert bright.shape == (80, 40) and np.array_equal(bright, labelled.mask == HAIR)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_shapes_on_the_pixels_as_stored_are_turned_with_them(tmp_path, orientation):
    """Programs that pass over the EXIF rotation state the size of the pixels as stored."""
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:8, :24] = 255
    stated = {"imageHeight": 40, "imageWidth": 80, "imagePath": "1.jpg"}
    write_labelme(tmp_path, "1", [box("hair", 0, 0, 23, 7)], **stated)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(pixels).save(tmp_path / "1.jpg", exif=exif, quality=95)
    labelled = read_labelme(tmp_path / "1.json", IDS, tolerance=1)
    with Image.open(tmp_path / "1.jpg") as picture:
        upright = np.asarray(ImageOps.exif_transpose(picture))
    assert upright.shape == (80, 40, 3) and np.array_equal(np.asarray(labelled.picture), upright)
    assert np.array_equal(upright[..., 0] > 127, labelled.mask == HAIR)


def test_a_size_that_is_that_of_no_rotation_is_an_error(tmp_path):
    write_labelme(tmp_path, "1", [], np.zeros((40, 80, 3), np.uint8), imageHeight=80, imageWidth=40)
    with pytest.raises(InvalidLabel, match="imageHeight, imageWidth are 80, 40; the image's are 40, 80"):
        read_labelme(tmp_path / "1.json", IDS, tolerance=1)


@pytest.mark.parametrize(
    ("orientation", "stated", "shown"),
    [(3, {}, (80, 40)), (6, {}, (80, 40)), (6, {"imageWidth": 40, "imageHeight": 80}, (40, 80))],
)
def test_an_embedded_image_is_taken_as_stored_unless_its_size_says_otherwise(tmp_path, orientation, stated, shown):
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, :20] = 255
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(pixels).save(tmp_path / "x.jpg", exif=exif, quality=95)
    data = base64.b64encode((tmp_path / "x.jpg").read_bytes()).decode()
    bright = box("hair", 0, 0, 19, 39) if shown == (80, 40) else box("hair", 0, 0, 39, 19)
    write_labelme(tmp_path, "1", [bright], imageData=data, **stated)
    labelled = read_labelme(tmp_path / "1.json", IDS, tolerance=1)
    assert labelled.picture.size == shown
    assert np.array_equal(np.asarray(labelled.picture)[..., 0] > 127, labelled.mask == HAIR)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="found no labelme file"):
        labelme_files(tmp_path, SETTINGS, SEVEN)


INDEXED = LabelsConfig(
    merge=MERGE | {"face": ["face", "nose"], "eye": ["l_eye"]},
    index_names=["background", "nose", "l_eye"],
    validation=0.3,
    test=0.3,
)


@pytest.mark.parametrize("mode", ["P", "L"])
def test_index_masks_are_merged_by_the_same_labels(tmp_path, mode):
    indices = np.zeros((32, 32), np.uint8)
    indices[4:8], indices[8:12], indices[12:16] = 1, 2, IGNORE
    [source] = index_mask_files(write_index_mask(tmp_path, "a", indices, mode=mode), INDEXED, SEVEN)
    expected = np.select([indices == 1, indices == 2, indices == IGNORE], [FACE, EYE, IGNORE], 0)
    assert np.array_equal(source.read().mask, expected)


def test_errors_of_index_masks_are_named(tmp_path):
    eye = np.eye(32, dtype=np.uint8)
    write_index_mask(tmp_path, "wide", eye, (64, 60))
    write_index_mask(tmp_path, "color", eye, mode="RGB")
    write_index_mask(tmp_path, "number", eye * 3)
    write_index_mask(tmp_path, "torn", eye)
    (tmp_path / "masks/torn.png").write_bytes(b"no png")
    masks = write_index_mask(tmp_path, "alone", eye)
    (tmp_path / "images/alone.jpg").unlink()
    expected = {
        "alone.png": "no image named alone",
        "color.png": "mode RGB; accepted: single-channel",
        "number.png": "index 3 in it; accepted: 0 to 2, as labels.index_names names them, and 255",
        "torn.png": "cannot be read",
        "wide.png": "32 x 32 pixels on an image of 64 x 60",
    }
    sources = index_mask_files(masks, INDEXED, SEVEN)
    assert [source.path.name for source in sources] == list(expected)
    for source in sources:
        with pytest.raises(InvalidLabel, match=f"^{expected[source.path.name]}"):
            source.read()


def test_a_folder_without_masks_is_refused(tmp_path):
    masks = write_index_mask(tmp_path, "a", np.eye(32, dtype=np.uint8))
    (tmp_path / "masks/a.png").unlink()
    with pytest.raises(UserError, match="no mask among 0 files"):
        index_mask_files(masks, INDEXED, SEVEN)
