"""Portraits: images checked, turned upright, cropped to one shape and resized to one size."""

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from PIL import Image

from facemill.data.color_profiles import changes_colors
from facemill.data.image_files import IMAGE_ERRORS, check_pixels, read_rgb
from facemill.data.shards import IMAGE, encode_jpeg
from facemill.errors import first_line

SCHEMA = pa.schema([("id", pa.string()), ("image", IMAGE), ("tags", pa.list_(pa.string())), ("source", pa.string())])
"""Columns of a shard of portraits; `source` is the image file of the portrait.

CelebA's shards have two more, `split` and the struct of booleans `attributes`.
"""

REJECTS = pa.schema([("id", pa.string()), ("source", pa.string()), ("reason", pa.string())])
"""Columns of the tables of images and portraits that are left out."""


Centering = tuple[float, float]
"""The place of a box in an image: the shares of the free space beside and above it that lie at its left and top."""

MIDDLE: Centering = (0.5, 0.5)
TOP: Centering = (0.5, 0.0)


class Unreadable(ValueError):
    """An image that cannot be used; the message is the reason."""


class Box(NamedTuple):
    """A box in an upright image, as shares of its width and height."""

    left: float
    top: float
    right: float
    bottom: float


Finder = Callable[[Image.Image], tuple[Box | None, Centering]]
"""Finds the part of an upright image that is a portrait: a box, or None and the place of the largest box."""


def center_box(width: int, height: int, ratio: float, centering: Centering = MIDDLE) -> Box:
    """The largest box of a height:width ratio in an image of `width` x `height` pixels, by default in its center."""
    w = min(width, height / ratio)
    free_x, free_y, (x, y) = width - w, height - w * ratio, centering
    return Box(free_x * x / width, free_y * y / height, 1 - free_x * (1 - x) / width, 1 - free_y * (1 - y) / height)


def face_box(face: tuple[int, int, int, int], width: int, height: int, ratio: float, margin: float) -> Box:
    """The box around a face; moved into the image where it leaves it, and shrunk where it does not fit.

    Args:
        face: x and y of the upper left corner, width and height, in pixels.
        width: of the image, in pixels.
        height: of the image, in pixels.
        ratio: of the box, height : width; above 1 the rest lies below the face, where the body is.
        margin: added on each side of the face, as a share of its height.
    """
    x, y, w, h = face
    side = h * (1 + 2 * margin)
    shrink = min(1, width / side, height / (side * ratio))
    box_w, box_h = side * shrink, side * ratio * shrink
    left = min(max(x + w / 2 - box_w / 2, 0), width - box_w)
    top = min(max(y - margin * h * shrink, 0), height - box_h)
    return Box(left / width, top / height, (left + box_w) / width, (top + box_h) / height)


def crop_portrait(
    content: bytes, box: Box | None, width: int, height: int, centering: Centering = MIDDLE
) -> tuple[bytes, str]:
    """A portrait of `width` x `height` pixels as an encoded file, and the suffix of its format.

    The result of `crop` as a JPEG, or the file itself where nothing in it changes. Raises `Unreadable` when the image
    cannot be read.
    """
    pixels, is_unchanged = crop(content, box, width, height, centering)
    if is_unchanged and (suffix := _plain_suffix(content)):
        return content, suffix
    return encode_jpeg(pixels), ".jpg"


def load_portrait(source: Path, width: int, ratio: int = 1, find: Finder | None = None) -> np.ndarray:
    """A portrait from an image file, resized by `crop`: uint8 RGB (H, W, 3). A file of its size is the portrait.

    Args:
        source: an image file.
        width: of the result, in pixels.
        ratio: height : width.
        find: finds its part of the image; by default it is the largest box, in the center.

    Raises:
        Unreadable: The image cannot be read.
    """
    box, centering = None, MIDDLE
    try:
        content = source.read_bytes()
        if find and upright_size(content) != (width, width * ratio):
            box, centering = find(read_rgb(content))
        return crop(content, box, width, width * ratio, centering)[0]
    except OSError as error:
        raise Unreadable(f"cannot be read ({first_line(error)})") from error
    except ValueError as error:
        raise Unreadable(str(error)) from error


def crop(
    content: bytes, box: Box | None, width: int, height: int, centering: Centering = MIDDLE
) -> tuple[np.ndarray, bool]:
    """Crops an image to a box and resizes it with antialiasing (Lanczos; large JPEGs are decoded smaller first).

    Args:
        content: an image file.
        box: the part to crop; None is the largest box.
        width: of the result, in pixels.
        height: of the result, in pixels.
        centering: the place of the largest box.

    Returns:
        uint8 RGB (height, width, 3), and whether these are the pixels of the file itself.

    Raises:
        Unreadable: The image cannot be read.
    """
    smallest_share = 1 if box is None else min(box.right - box.left, box.bottom - box.top)
    try:
        image = read_rgb(content, math.ceil(max(width, height) / smallest_share))
    except ValueError as error:
        raise Unreadable(str(error)) from error
    box = box or center_box(*image.size, height / width, centering)
    pixels = (box.left * image.width, box.top * image.height, box.right * image.width, box.bottom * image.height)
    if box == Box(0, 0, 1, 1) and image.size == (width, height):
        return np.asarray(image), upright_size(content) == (width, height)
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS, pixels)), False


def _plain_suffix(content: bytes) -> str | None:
    """The suffix of a file that every reader decodes alike: JPEG or PNG, sRGB, opaque, not turned by EXIF."""
    with Image.open(io.BytesIO(content)) as file:
        plain = file.mode == "RGB" and "transparency" not in file.info
        plain = plain and file.getexif().get(0x0112, 1) == 1 and not changes_colors(file)
        return {"JPEG": ".jpg", "PNG": ".png"}.get(file.format or "") if plain else None


def upright_size(content: bytes) -> tuple[int, int]:
    """Width and height of the upright image, from its header. Raises `Unreadable`."""
    try:
        with Image.open(io.BytesIO(content)) as file:
            check_pixels(file)  # since a PNG is decoded for the EXIF data that may follow its pixels
            turned = file.getexif().get(0x0112, 1) in (5, 6, 7, 8)  # which others write as text, too
            return (file.height, file.width) if turned else file.size
    except IMAGE_ERRORS as error:
        raise Unreadable(f"cannot be read ({first_line(error)})") from error
