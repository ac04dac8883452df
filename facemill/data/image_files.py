"""Image files read upright and in sRGB."""

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, PngImagePlugin

from facemill.data.color_profiles import to_srgb
from facemill.errors import first_line

IMAGE_ERRORS = (
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""The exceptions that Pillow raises on damaged files."""

MAX_PIXELS = 178_956_970
"""Pillow's limit against decompression bombs, repeated here since other libraries lift it in Pillow."""

PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = 3 * MAX_PIXELS
"""Bytes of a PNG's texts, which programs for drawing make long: as many as its pixels may take."""

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # twice as many pixels are refused


def read_rgb(source: Path | bytes, min_side: int | None = None, *, as_stored: bool = False) -> Image.Image:
    """Reads an image: upright by its EXIF rotation, in sRGB, transparency over white, of animations the first frame.

    Args:
        source: an image file, or its bytes.
        min_side: allows a JPEG to be decoded 2, 4 or 8 times smaller, which is faster, as long as both sides have so
            many pixels.
        as_stored: passes over the EXIF rotation.

    Raises:
        ValueError: The image cannot be read completely, or has more than `MAX_PIXELS`; the message is the reason.
    """
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as picture:
            check_pixels(picture)
            if min_side and (shrink := min(picture.size) // min_side) > 1 and picture.mode in ("RGB", "L"):
                picture.draft(picture.mode, (picture.width // shrink, picture.height // shrink))
            if picture.mode in ("F", "I"):
                raise ValueError(f"pixels of mode {picture.mode}, accepted: 8 or 16 bits")
            profile = picture.info.get("icc_profile")
            upright = picture if as_stored else ImageOps.exif_transpose(picture)
            if upright.mode.startswith("I;16"):  # 16 bits a pixel, which `convert` would clip to white
                upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
            rgb = to_srgb(upright, profile)
            if not upright.has_transparency_data:
                return rgb or upright.convert("RGB")
            rgba = upright.convert("RGBA")
            if rgb:
                rgb.putalpha(rgba.getchannel("A"))
                rgba = rgb
            return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    except IMAGE_ERRORS as error:
        raise ValueError(f"cannot be read ({first_line(error)})") from error


def check_pixels(picture: Image.Image) -> None:
    """Raises `ValueError` when a picture, not yet decoded, has more than `MAX_PIXELS`."""
    if picture.width * picture.height > MAX_PIXELS:
        raise ValueError(f"{picture.width} x {picture.height} pixels could be a decompression bomb")


def orientation_of(path: Path) -> int:
    """The EXIF orientation of an image file that can be read, 1 to 8; 1 where it has none."""
    with Image.open(path) as picture:
        return int(picture.getexif().get(ExifTags.Base.Orientation, 1))


def turned(picture: Image.Image, orientation: int) -> Image.Image:
    """A picture turned upright, as an EXIF orientation says."""
    picture.getexif()[ExifTags.Base.Orientation] = orientation
    return ImageOps.exif_transpose(picture)
