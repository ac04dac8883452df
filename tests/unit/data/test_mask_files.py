"""Mask files of other programs: by index, by color, or refused; never as other classes."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from helpers.label_files import SETTINGS, write_index_mask
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from facemill.data.classes import IGNORE, SEVEN, Class, ClassTable
from facemill.data.mask_files import is_binary, read_mask
from facemill.data.shards import decode_mask
from facemill.errors import UserError
from facemill.label.label_files import InvalidLabel, index_mask_files

IDS = np.arange(64, dtype=np.uint8).reshape(8, 8) % 7
ORDER = [2, 1, 6, 3, 5, 4, 0]
"""A palette of the same colors in another order: that of their brightness."""


def encoded(picture: Image.Image, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", **options)
    return file.getvalue()


def with_palette(indices: np.ndarray, colors: list[tuple[int, ...]]) -> Image.Image:
    picture = Image.fromarray(indices, "L")
    picture.putpalette(bytes(channel for color in colors for channel in color))
    return picture


def reordered(ids: np.ndarray = IDS) -> Image.Image:
    """The mask as tools that sort the palette save it; ignored pixels are the last color, white."""
    indices = np.array([ORDER.index(i) for i in range(7)] + [7] * 249, np.uint8)[ids]
    return with_palette(indices, [*(SEVEN.colors[i] for i in ORDER), (255, 255, 255)])


def in_color(mode: str, ids: np.ndarray = IDS) -> Image.Image:
    return with_palette(ids, [*SEVEN.colors, *[(255, 255, 255)] * 249]).convert("RGB").convert(mode)


@pytest.mark.parametrize("picture", [reordered(), in_color("RGB"), in_color("RGBA")])
def test_the_classes_colors_are_read_by_color(picture):
    assert np.array_equal(decode_mask(encoded(picture), SEVEN), IDS)


@pytest.mark.parametrize("write", [reordered, lambda ids: in_color("RGB", ids)])
def test_white_is_ignored(write):
    ids = np.where(IDS == 3, IGNORE, IDS)
    assert np.array_equal(decode_mask(encoded(write(ids)), SEVEN), ids)


def test_a_mask_s_table_says_which_colors_it_has():
    """Tools that sort palettes keep the text chunk; colors of the config may have changed since."""
    recolored = ClassTable(
        tuple(Class(name=c.name, color=f"#0000{i:02x}", role=c.role) for i, c in enumerate(SEVEN.root))
    )
    text = PngInfo()
    text.add_text("classes", SEVEN.model_dump_json())
    assert np.array_equal(decode_mask(encoded(reordered(), pnginfo=text), recolored), IDS)


@pytest.mark.parametrize(
    "colors",
    [
        [(i, i, i) for i in range(0, 70, 10)],  # another palette
        [(0, 0, 0), (255, 255, 255), *[(9, i, 9) for i in range(5)]],  # white by chance
        [*SEVEN.colors[:1], *[(9, i, 9) for i in range(6)]],  # one color in its place
    ],
)
def test_palettes_that_contradict_no_index_are_read_by_index(colors):
    content = read_mask(encoded(with_palette(IDS, colors)), SEVEN)
    assert np.array_equal(content.pixels, IDS) and not content.is_by_color


def test_a_palette_may_show_the_class_that_an_index_means():
    """Index 1 means hair and is shown so; no order of the table."""
    content = encoded(with_palette(IDS % 2, [SEVEN.colors[0], SEVEN.colors[5]]))
    assert not read_mask(content, SEVEN, [0, 5]).is_by_color
    assert np.array_equal(read_mask(content, SEVEN, [0, 1]).pixels, IDS % 2 * 5)


def blended() -> Image.Image:
    pixels = np.asarray(in_color("RGB")).copy()
    pixels[2, 3] = (120, 120, 120)
    return Image.fromarray(pixels)


def erased() -> Image.Image:
    picture = in_color("RGBA")
    picture.putpixel((0, 0), (0, 0, 0, 0))
    return picture


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (blended(), "1 of 64 pixels have others, the first #787878"),
        (
            blended().quantize(8, dither=Image.Dither.NONE),
            "a palette that shows `classes` at other indices; .*1 of 64 pixels have others",
        ),
        (erased(), "transparent pixels"),
        (in_color("L"), "class id"),
        (Image.fromarray(IDS > 0), "mode 1, black and white; accepted: single-channel 8-bit PNG"),
        (Image.fromarray(IDS.astype(np.uint16)), "mode I;16, 16 bits a pixel; accepted"),
        (in_color("LA"), "mode LA; accepted"),
    ],
)
def test_all_else_is_refused(picture, words):
    with pytest.raises(UserError, match=f"^a mask.*{words}"):
        decode_mask(encoded(picture), SEVEN)


@pytest.mark.parametrize("bits", [2, 4])
def test_gray_of_few_bits_is_refused_since_readers_spread_it(bits):
    header = struct.pack(">IIBBBBB", 8, 8, bits, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(8 * (1 + bits)))
    parts = [(b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")]
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    ]
    with pytest.raises(UserError, match=f"gray of {bits} bits a pixel"):
        decode_mask(b"\x89PNG\r\n\x1a\n" + b"".join(chunks), SEVEN)


def test_a_jpeg_under_a_png_s_name_is_refused():
    file = io.BytesIO()
    Image.fromarray(IDS).save(file, "JPEG")
    with pytest.raises(UserError, match="format JPEG, whose compression may change numbers; accepted: PNG"):
        decode_mask(file.getvalue(), SEVEN)


def test_a_mask_of_too_many_pixels_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr("facemill.data.image_files.MAX_PIXELS", 15)
    with pytest.raises(UserError, match="4 x 4 pixels could be a decompression bomb"):
        decode_mask(encoded(Image.new("L", (4, 4))), SEVEN)


def test_a_color_of_two_classes_is_refused():
    table = ClassTable((*SEVEN.root[:6], Class(name="clothes", color=SEVEN.root[5].color, role=None)))
    with pytest.raises(UserError, match="the color #863dc6 of more than one class"):
        decode_mask(encoded(in_color("RGB")), table)


def test_zero_and_255_alone_are_binary():
    assert is_binary(np.array([[0, 255]])) and not is_binary(np.array([[0, 1, 255]]))
    assert not is_binary(np.array([[0]])) and not is_binary(np.array([[255]]))


SETTINGS_BY_NAME = SETTINGS.model_copy(
    update={"merge": {name: [name] for name in SEVEN.names}, "index_names": list(SEVEN.names)}
)


@pytest.mark.parametrize("picture", [reordered(), in_color("RGB")])
def test_labelled_masks_are_read_by_color(tmp_path: Path, picture):
    masks = write_index_mask(tmp_path, "a", IDS)
    picture.save(tmp_path / "masks/a.png")
    [source] = index_mask_files(masks, SETTINGS_BY_NAME, SEVEN)
    assert np.array_equal(source.read().mask, IDS)


def test_a_binary_labelled_mask_is_named(tmp_path: Path):
    masks = write_index_mask(tmp_path, "a", (IDS > 0).astype(np.uint8) * 255, mode="L")
    [source] = index_mask_files(masks, SETTINGS_BY_NAME, SEVEN)
    with pytest.raises(InvalidLabel, match="^only 0 and 255 in it, and 255 is for pixels to ignore"):
        source.read()
