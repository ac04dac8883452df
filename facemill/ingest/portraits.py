"""Portraits: images that were opened, checked, turned upright, cut to one shape and brought to one size."""

import io
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from PIL import Image

from facemill.data.image_files import IMAGE_ERRORS, read_rgb
from facemill.data.shards import IMAGE, encode_jpeg

SCHEMA = pa.schema([("id", pa.string()), ("image", IMAGE), ("tags", pa.list_(pa.string())), ("source", pa.string())])
"""Columns of a shard of portraits; `source` is the file that the portrait was made from.

CelebA's shards have two more, `split` and the struct of booleans `attributes`.
"""


REJECTS = pa.schema([("id", pa.string()), ("source", pa.string()), ("reason", pa.string())])
"""Columns of the tables of images, or portraits, that are left out."""


class Unreadable(ValueError):
    """An image that cannot be used; the message says why."""


class Box(NamedTuple):
    """A part of an upright image, as shares of its width and height."""

    left: float
    top: float
    right: float
    bottom: float


def middle(width: int, height: int, ratio: float) -> Box:
    """The largest box of a height:width ratio in the middle of an image of `width` x `height` pixels."""
    w = min(width, height / ratio)
    left, top = (width - w) / 2, (height - w * ratio) / 2
    return Box(left / width, top / height, 1 - left / width, 1 - top / height)


def around(face: tuple[int, int, int, int], width: int, height: int, ratio: float, margin: float) -> Box:
    """The box of a height:width ratio around a face `(x, y, w, h)` in an image of `width` x `height` pixels.

    `margin` is added to each side, as a share of the face's height; at a ratio above 1 the rest lies below, where the
    body is. A box that leaves the image is moved into it, and made smaller where it does not fit.
    """
    x, y, w, h = face
    side = h * (1 + 2 * margin)
    fit = min(1, width / side, height / (side * ratio))
    box_w, box_h = side * fit, side * ratio * fit
    left = min(max(x + w / 2 - box_w / 2, 0), width - box_w)
    top = min(max(y - margin * h * fit, 0), height - box_h)
    return Box(left / width, top / height, (left + box_w) / width, (top + box_h) / height)


def crop_portrait(content: bytes, box: Box | None, width: int, height: int) -> tuple[bytes, str]:
    """A portrait of `width` x `height` pixels as an encoded file, and the suffix of its kind.

    It is what `cut` gives as a JPEG; a file in which there is nothing to change is kept as it is. Raises `Unreadable`
    when the image cannot be read whole.
    """
    pixels, is_whole = cut(content, box, width, height)
    if is_whole and (suffix := _plain_suffix(content)):
        return content, suffix
    return encode_jpeg(pixels), ".jpg"


def load_portrait(source: Path, size: int) -> np.ndarray:
    """The largest square in the middle of an image file: uint8 RGB (size, size, 3), as `cut` gives it.

    Raises `Unreadable` when it cannot be read whole.
    """
    try:
        return cut(source.read_bytes(), None, size, size)[0]
    except OSError as error:
        raise Unreadable(f"cannot be read ({error})") from error


def cut(content: bytes, box: Box | None, width: int, height: int) -> tuple[np.ndarray, bool]:
    """The box of an image, or the largest in its middle, uint8 RGB (height, width, 3); whether that is the file's own.

    It is resized with antialiasing (Lanczos; large JPEGs are decoded smaller first). Raises `Unreadable`.
    """
    least = 1 if box is None else min(box.right - box.left, box.bottom - box.top)
    try:
        image = read_rgb(content, math.ceil(max(width, height) / least))
    except ValueError as error:
        raise Unreadable(str(error)) from error
    box = box or middle(*image.size, height / width)
    place = (box.left * image.width, box.top * image.height, box.right * image.width, box.bottom * image.height)
    if place == (0, 0, width, height):
        return np.asarray(image), upright_size(content) == (width, height)
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS, place)), False


def _plain_suffix(content: bytes) -> str | None:
    """The suffix of a file that every reader shows alike: JPEG or PNG, RGB, opaque, not turned by EXIF."""
    with Image.open(io.BytesIO(content)) as file:
        plain = file.mode == "RGB" and "transparency" not in file.info
        plain = plain and file.getexif().get(0x0112, 1) == 1
        return {"JPEG": ".jpg", "PNG": ".png"}.get(file.format or "") if plain else None


def upright_size(content: bytes) -> tuple[int, int]:
    """Width and height of an image as people see it, from its header. Raises `Unreadable`."""
    try:
        with Image.open(io.BytesIO(content)) as file:
            turned = file.getexif().get(0x0112, 1) > 4
            return (file.height, file.width) if turned else file.size
    except IMAGE_ERRORS as error:
        raise Unreadable(f"cannot be read ({error})") from error
