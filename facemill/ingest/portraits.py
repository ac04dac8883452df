"""Portraits: images that were opened, checked, turned upright, cut square and brought to one size."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image, ImageOps

from facemill.portrait import read_rgb
from facemill.shards import IMAGE

SCHEMA = pa.schema([("id", pa.string()), ("image", IMAGE), ("tags", pa.list_(pa.string())), ("source", pa.string())])
"""Columns of a shard of portraits; `source` is the file that the portrait was made from."""


class Unreadable(ValueError):
    """An image that cannot be used; the message says why."""


def load_portrait(source: Path | bytes, size: int) -> np.ndarray:
    """The largest square in the middle of an image file, or of its bytes: uint8 RGB (size, size, 3).

    It is read as `read_rgb` does and resized with antialiasing (Lanczos). Raises `Unreadable` when it cannot be read
    whole.
    """
    try:
        image = read_rgb(source)
    except ValueError as error:
        raise Unreadable(str(error)) from error
    return np.asarray(ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS))
