"""Palette PNGs: read back by Pillow and OpenCV, the same bytes for the same pixels."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from facemill.data import png
from facemill.data.classes import SEVEN, parse_classes
from facemill.data.shards import encode_mask

COLORS = bytes(range(256)) * 3


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (64, 48), (511, 513)])
def test_pillow_reads_the_indices(size):
    pixels = np.random.default_rng(1).integers(0, 256, size, np.uint8)
    with Image.open(io.BytesIO(png.encode(pixels, COLORS, ("about", "noise")))) as picture:
        picture.load()
        assert (picture.mode, picture.format, picture.text) == ("P", "PNG", {"about": "noise"})
        assert picture.getpalette() == list(COLORS)
        assert np.array_equal(np.asarray(picture), pixels)


def test_opencv_shows_the_palettes_colors():
    pixels = np.arange(7, dtype=np.uint8).repeat(30).reshape(7, 30)
    shown = cv2.imdecode(np.frombuffer(encode_mask(pixels, SEVEN), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.array_equal(shown, np.frombuffer(SEVEN.palette, np.uint8).reshape(256, 3)[pixels])


def test_masks_name_the_classes_and_any_view_of_an_array_can_be_written():
    mask = np.random.default_rng(2).integers(0, 7, (40, 60), np.uint8)
    for view in (mask, mask.T, mask[::2, ::-3], mask.astype(np.int64)):
        with Image.open(io.BytesIO(encode_mask(view, SEVEN))) as picture:
            assert np.array_equal(np.asarray(picture), view)
            assert parse_classes(picture.text["classes"]) == SEVEN


def test_the_same_pixels_give_the_same_bytes():
    mask = np.zeros((512, 512), np.uint8)
    mask[100:300, 50:400] = 5
    assert encode_mask(mask, SEVEN) == encode_mask(mask.copy(), SEVEN)
    assert len(encode_mask(mask, SEVEN)) < 4000
