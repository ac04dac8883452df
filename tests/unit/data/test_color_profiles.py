"""Color profiles: pixels are in sRGB, whatever the file's colors; sRGB's own changes nothing."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from facemill.data.color_profiles import changes_colors
from facemill.data.image_files import read_rgb
from facemill.ingest.portraits import crop_portrait

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SWAPPED = SRGB.replace(b"rXYZ", b"xxxx").replace(b"gXYZ", b"rXYZ").replace(b"xxxx", b"gXYZ")
"""sRGB with the first two primaries exchanged: (255, 0, 0) is green."""

_GAMMA = [round(2.4 * 65536).to_bytes(4, "big"), (65536).to_bytes(4, "big")]
GRAY = SRGB.replace(b"RGB ", b"GRAY").replace(b"rTRC", b"kTRC").replace(*_GAMMA)
"""A profile of gray pixels, brighter than sRGB's."""


def encoded(picture: Image.Image, kind: str = "PNG", profile: bytes = SWAPPED, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, icc_profile=profile, **options)
    return file.getvalue()


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "P"), ("JPEG", "RGB"), ("TIFF", "RGB"), ("WEBP", "RGBA")],
)
def test_colors_are_those_that_viewers_show(kind, mode):
    picture = Image.new("RGB", (16, 16), (250, 10, 60))
    content = encoded(picture.quantize(2) if mode == "P" else picture.convert(mode), kind)
    assert np.abs(np.subtract(read_rgb(content).getpixel((8, 8)), (10, 250, 60))).max() <= 3


def test_transparency_lies_over_white_and_a_turn_is_made():
    picture = Image.new("RGBA", (16, 8), (250, 10, 60, 255))
    picture.paste((0, 0, 0, 0), (0, 0, 8, 8))
    exif = Image.Exif()
    exif[0x0112] = 6
    shown = read_rgb(encoded(picture, exif=exif))
    assert shown.size == (8, 16) and shown.getpixel((4, 2)) == (255, 255, 255)
    assert np.abs(np.subtract(shown.getpixel((4, 13)), (10, 250, 60))).max() <= 2


def test_gray_pixels_have_profiles_of_their_own():
    gray = Image.new("L", (8, 8), 100)
    assert read_rgb(encoded(gray, profile=GRAY)).getpixel((0, 0))[0] > 130
    assert read_rgb(encoded(gray.convert("LA"), profile=GRAY)).getpixel((0, 0))[0] > 130
    deep = Image.fromarray(np.full((8, 8), 100 * 257, np.uint16))
    assert read_rgb(encoded(deep, profile=GRAY)).getpixel((0, 0))[0] > 130


@pytest.mark.parametrize(
    ("mode", "profile"),
    [
        ("RGB", b"no profile"),
        ("RGB", SWAPPED[:200]),
        ("RGB", GRAY),
        ("CMYK", SWAPPED),
        ("RGB", SRGB.replace(b"RGB ", b"CMYK")),
        ("L", SWAPPED.replace(b"RGB ", b"7CLR")),
    ],
)
def test_profiles_of_no_use_are_passed_over_and_named(mode, profile, caplog):
    picture = Image.new("RGB", (8, 8), (250, 10, 60)).convert(mode)
    profile += mode.encode()  # another for each case: the log names a profile once
    assert read_rgb(encoded(picture, "TIFF", profile)).getpixel((0, 0)) == picture.convert("RGB").getpixel((0, 0))
    assert f"a color profile of {len(profile)} bytes is ignored" in caplog.text


def test_srgb_s_own_profile_changes_nothing():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8))
    content = encoded(noise, profile=SRGB)
    assert np.array_equal(read_rgb(content), noise) and not changes_colors(opened(content))
    assert crop_portrait(content, None, 32, 32) == (content, ".png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_portrait_of_other_colors_is_not_kept_as_it_is(kind):
    content = encoded(Image.new("RGB", (32, 32), (250, 10, 60)), kind)
    portrait, suffix = crop_portrait(content, None, 32, 32)
    assert changes_colors(opened(content)) and suffix == ".jpg"
    assert "icc_profile" not in opened(portrait).info
    assert np.abs(np.subtract(opened(portrait).getpixel((16, 16)), (10, 250, 60))).max() <= 3
