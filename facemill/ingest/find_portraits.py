"""Candidates: where in each image a portrait would be, and what tells it from others."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from facemill.config.ingest import PortraitsConfig
from facemill.data.image_files import read_rgb
from facemill.imaging.phash import perceptual_hash
from facemill.ingest import persons
from facemill.ingest.archives import read_image
from facemill.ingest.faces import Face
from facemill.ingest.portraits import Box, Unreadable, around, middle, upright_size

CANDIDATES = pa.schema(
    [
        ("id", pa.string()),
        ("post", pa.string()),
        *((side, pa.float64()) for side in Box._fields),
        ("hash", pa.uint64()),
        ("pixels", pa.float64()),
        ("score", pa.int32()),
    ]
)
"""Columns of the candidates: `id` is the post's, with `#2` and so on for further faces; the box in shares of the
upright image's width and height; the perceptual hash of what is in it, and how many pixels that is in the file."""

_ENOUGH = 64  # pixels, for a hash of 32 x 32


def find_candidates(
    post: dict,
    settings: PortraitsConfig,
    find: Callable[[np.ndarray], list[Face]] | None,
    check: Callable[[np.ndarray], None] | None = None,
) -> list[dict]:
    """The candidates of a selected post: one for each face, or without a detector one in the middle of the image.

    Raises `Unreadable` when the image cannot be read, does not pass the check, or shows no face.
    """
    try:
        content = read_image(post["path"], post["offset"], post["length"])
        full_width, full_height = upright_size(content)
        image = read_rgb(content, None if find else persons.MIN_SIDE if check else _ENOUGH)
    except Unreadable:
        raise
    except ValueError as error:
        raise Unreadable(str(error)) from error
    pixels = np.asarray(image)
    if check:
        check(pixels)
    if find is None:
        boxes = [middle(*image.size, settings.ratio)]
    else:
        margin = settings.detector.margin if settings.detector else 0
        boxes = [around(face, *image.size, settings.ratio, margin) for face in find(pixels)]
    if not boxes:
        raise Unreadable("no face found")
    return [
        {
            "id": post["id"] if number == 1 else f"{post['id']}#{number}",
            "post": post["id"],
            **box._asdict(),
            "hash": perceptual_hash(_cut(pixels, box)),
            "pixels": (box.right - box.left) * full_width * (box.bottom - box.top) * full_height,
            "score": post["score"],
        }
        for number, box in enumerate(boxes, 1)
    ]


def _cut(pixels: np.ndarray, box: Box) -> np.ndarray:
    height, width = pixels.shape[:2]
    left, right = int(box.left * width), max(int(box.right * width), int(box.left * width) + 1)
    top, bottom = int(box.top * height), max(int(box.bottom * height), int(box.top * height) + 1)
    return pixels[top:bottom, left:right]
