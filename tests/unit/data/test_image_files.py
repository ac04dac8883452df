"""Image files of every kind become upright RGB; what cannot is refused with a reason."""

import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from facemill.data import image_files
from facemill.data.image_files import read_rgb

RED, BLUE = (200, 0, 0), (0, 0, 200)


def encoded(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def test_an_exif_rotation_is_applied():
    picture = Image.new("RGB", (16, 8), RED)
    picture.paste(BLUE, (0, 0, 8, 8))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise by 90 degrees
    upright = read_rgb(encoded(picture, exif=exif))
    assert upright.size == (8, 16)
    assert upright.getpixel((4, 2)) == BLUE and upright.getpixel((4, 13)) == RED
    assert read_rgb(encoded(picture, exif=exif), as_stored=True).tobytes() == picture.tobytes()


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_transparency_lies_over_white(mode):
    picture = Image.new("RGBA", (4, 4), (*RED, 255))
    picture.putpixel((0, 0), (*RED, 0))
    rgb = read_rgb(encoded(picture.convert(mode)))
    assert rgb.mode == "RGB" and rgb.getpixel((0, 0)) == (255, 255, 255) and rgb.getpixel((3, 3)) == RED


def test_sixteen_bits_are_scaled_and_not_clipped():
    picture = Image.fromarray(np.full((4, 4), 0x8000, np.uint16))
    assert read_rgb(encoded(picture)).getpixel((0, 0)) == (128, 128, 128)


@pytest.mark.parametrize(("min_side", "size"), [(None, (64, 32)), (17, (64, 32)), (16, (32, 16)), (8, (16, 8))])
def test_a_jpeg_is_decoded_smaller_while_both_sides_are_large_enough(min_side, size):
    assert read_rgb(encoded(Image.new("RGB", (64, 32), RED), "JPEG"), min_side).size == size


def test_the_first_frame_of_an_animation_is_read():
    frames = [Image.new("RGB", (4, 4), color) for color in (RED, BLUE)]
    assert (
        read_rgb(encoded(frames[0], "WEBP", lossless=True, save_all=True, append_images=frames[1:])).getpixel((0, 0))
        == RED
    )


def test_a_decompression_bomb_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(image_files, "MAX_PIXELS", 15)
    with pytest.raises(ValueError, match="4 x 4 pixels could be a decompression bomb"):
        read_rgb(encoded(Image.new("RGB", (4, 4))))


@pytest.mark.parametrize("packed", [True, False])
def test_texts_of_a_png_may_be_long(packed):
    texts = PngImagePlugin.PngInfo()
    for name in ("a", "b"):
        texts.add_text(name, "x" * (40 << 20), zip=packed)  # Pillow's limits are 1 MiB a packed text, 64 MiB all
    assert read_rgb(encoded(Image.new("RGB", (4, 4), RED), pnginfo=texts)).getpixel((0, 0)) == RED


@pytest.mark.parametrize("size", [0, 10, 60])
def test_a_truncated_file_is_refused(size):
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    with pytest.raises(ValueError, match=r"^cannot be read \("):
        read_rgb(encoded(Image.fromarray(noise))[:size])


def test_pixels_of_float_are_refused():
    with pytest.raises(ValueError, match="pixels of mode F, accepted: 8 or 16 bits"):
        read_rgb(encoded(Image.new("F", (4, 4)), "TIFF"))
