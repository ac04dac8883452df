"""An image file read as people see it: upright, in RGB."""

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

IMAGE_ERRORS = (
    *(OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, EOFError, MemoryError),
    *(struct.error, zlib.error, Image.DecompressionBombError),
)
"""What Pillow raises on files that are damaged in one way or another."""

MAX_PIXELS = 178_956_970
"""Pillow's limit against decompression bombs, kept here because other libraries lift Pillow's own."""

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # twice as many pixels are refused


def read_rgb(source: Path | bytes, enough: int | None = None) -> Image.Image:
    """Reads an image file, or its bytes: upright by its EXIF rotation, transparency over white, mode RGB.

    Of animations it is the first frame. A JPEG may come 2, 4 or 8 times smaller when both sides still have `enough`
    pixels, which is decoded faster. Raises `ValueError` with the reason when it cannot be read whole, or has more than
    `MOST_PIXELS`.
    """
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise ValueError(f"{picture.width} x {picture.height} pixels could be a decompression bomb")
            if enough and (shrink := min(picture.size) // enough) > 1 and picture.mode in ("RGB", "L"):
                picture.draft(picture.mode, (picture.width // shrink, picture.height // shrink))
            if picture.mode in ("F", "I"):
                raise ValueError(f"pixels of mode {picture.mode}, accepted: 8 or 16 bits")
            upright = ImageOps.exif_transpose(picture)
            if upright.mode.startswith("I;16"):  # 16 bits a pixel, which `convert` would clip to white
                upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
            if not upright.has_transparency_data:
                return upright.convert("RGB")
            rgba = upright.convert("RGBA")
            return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    except IMAGE_ERRORS as error:
        raise ValueError(f"cannot be read ({error})") from error
