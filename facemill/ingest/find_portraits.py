"""Candidates: the boxes of portraits in the selected images, each with the perceptual hash that reveals duplicates."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from facemill.config.ingest import PortraitsConfig
from facemill.data.image_files import read_rgb
from facemill.data.shards import write_table
from facemill.errors import list_faults
from facemill.imaging.phash import perceptual_hash
from facemill.ingest import persons
from facemill.ingest.archives import read_image
from facemill.ingest.crop_place import Placing, placing, warn_of_cut_heads
from facemill.ingest.faces import Face, face_detector
from facemill.ingest.portraits import MIDDLE, REJECTS, Box, Unreadable, center_box, face_box, upright_size
from facemill.ingest.selected import read_selected
from facemill.log import log, progress

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
"""Columns of the candidates.

`id` is that of the post, with `#2` and so on for further faces. The box is in shares of the upright image's width and
height; `hash` is its perceptual hash, `pixels` its area in pixels of the file, `score` that of the post.
"""

_MIN_SIDE_FOR_HASH = 64  # pixels; the hash is computed at 32 x 32


def find_portraits(*, selected: Path, settings: PortraitsConfig, shard: int, candidates: Path, rejects: Path) -> None:
    """Detects persons and faces in the images of a shard, and hashes the portraits to crop.

    Args:
        selected: the table of selected posts.
        settings: section `portraits` of the config.
        shard: the number of the shard.
        candidates: a row for each portrait: its box in its image, its perceptual hash, its area. Parquet.
        rejects: images without a portrait, with the reason, Parquet.
    """
    posts = read_selected(selected, shard)
    place = placing(settings.crop, settings.ratio, settings.detector)
    detect = face_detector(settings.detector) if settings.detector and settings.crop != "face" else None
    check = persons.person_check(settings.person) if settings.person else None
    rows, rejected = [], []
    for post in progress(posts, f"portraits {shard}", len(posts)):
        try:
            rows += find_candidates(post, settings, detect, check, place)
        except Unreadable as error:
            rejected.append({"id": post["id"], "source": post["path"], "reason": str(error)})
    if settings.crop == "middle" and not settings.detector:
        warn_of_cut_heads([Box(*(row[side] for side in Box._fields)) for row in rows], f"shard {shard}")
    write_table(candidates, pa.Table.from_pylist(rows, CANDIDATES))
    write_table(rejects, pa.Table.from_pylist(rejected, REJECTS))
    counts = f"shard {shard}: {len(rows)} portraits in {len(posts)} images, {len(rejected)} rejected"
    log.info("\n  ".join([counts, *list_faults((reject["id"], reject["reason"]) for reject in rejected)]))


def find_candidates(
    post: dict,
    settings: PortraitsConfig,
    detect: Callable[[np.ndarray], list[Face]] | None,
    check: Callable[[np.ndarray], None] | None = None,
    place: Placing | None = None,
) -> list[dict]:
    """The candidates of a selected post, rows of `CANDIDATES`: one for each face, or the largest box of the image.

    Args:
        post: a row of the selected posts.
        settings: section `portraits` of the config.
        detect: a face detector; without one the largest box of the image is the candidate.
        check: raises `Unreadable` for images without a person.
        place: finds the place of the largest box; by default it is in the middle.

    Raises:
        Unreadable: The image cannot be read, does not pass the check, or has no face.
    """
    try:
        content = read_image(post["path"], post["offset"], post["length"])
        full_width, full_height = upright_size(content)
        image = read_rgb(content, None if settings.detector else persons.MIN_SIDE if check else _MIN_SIDE_FOR_HASH)
    except Unreadable:
        raise
    except ValueError as error:
        raise Unreadable(str(error)) from error
    pixels = np.asarray(image)
    if check:
        check(pixels)
    if detect is None:
        boxes = [center_box(*image.size, settings.ratio, place(image) if place else MIDDLE)]
    else:
        margin = settings.detector.margin if settings.detector else 0
        boxes = [face_box(face, *image.size, settings.ratio, margin) for face in detect(pixels)]
    if not boxes:
        raise Unreadable("no face")
    return [
        {
            "id": post["id"] if number == 1 else f"{post['id']}#{number}",
            "post": post["id"],
            **box._asdict(),
            "hash": perceptual_hash(_crop(pixels, box)),
            "pixels": (box.right - box.left) * full_width * (box.bottom - box.top) * full_height,
            "score": post["score"],
        }
        for number, box in enumerate(boxes, 1)
    ]


def _crop(pixels: np.ndarray, box: Box) -> np.ndarray:
    height, width = pixels.shape[:2]
    left, right = int(box.left * width), max(int(box.right * width), int(box.left * width) + 1)
    top, bottom = int(box.top * height), max(int(box.bottom * height), int(box.top * height) + 1)
    return pixels[top:bottom, left:right]
