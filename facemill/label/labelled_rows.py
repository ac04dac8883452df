"""Labelled portraits as rows of a shard: image and class mask resized to the same size, near-duplicates grouped."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from PIL import Image, ImageOps

from facemill.data.classes import IGNORE, ClassTable
from facemill.data.shards import IMAGE, decode_image, encode_jpeg, encode_mask, sort_key
from facemill.data.splits import group_representatives
from facemill.errors import UserError
from facemill.imaging.phash import near_duplicates
from facemill.label.label_files import InvalidLabel, LabelSource
from facemill.log import log, progress

SCHEMA = pa.schema([("id", pa.string()), ("image", IMAGE), ("mask", IMAGE)])
"""The columns of labelled portraits: the image a JPEG, the mask a palette PNG of the same size."""


class Conversion(NamedTuple):
    """A label file's row of `SCHEMA`, or the errors for which it has none."""

    row: dict[str, Any] | None
    errors: Sequence[str]
    warnings: Sequence[str] = ()
    image_hash: bytes = b""
    """Of the image's pixels, before it is cropped and resized."""


def labelled_rows(
    sources: Sequence[LabelSource], classes: ClassTable, size: int, ratio: float = 1, threads: int = 1
) -> tuple[list[dict[str, Any]], dict[str, Sequence[str]]]:
    """Reads label files into rows of `SCHEMA`; a row's id is its file's stem.

    Args:
        sources: from `labelme_files` and `index_mask_files`.
        classes: the masks' class table.
        size: height of images and masks, in pixels.
        ratio: height : width.
        threads: files read at a time.

    Returns:
        The rows, in the order of ids, and the warnings by id.

    Raises:
        UserError: With all errors of all files.
    """
    rows: dict[str, dict[str, Any] | None] = {}
    warnings: dict[str, Sequence[str]] = {}
    errors: list[str] = []
    invalid = 0
    first_with: dict[bytes, Path] = {}
    with ThreadPoolExecutor(threads) as pool:
        conversions = pool.map(lambda source: convert(source, classes, size, ratio), sources)
        conversions = progress(conversions, "labelled portraits", len(sources))
        for (path, _), conversion in zip(sources, conversions, strict=True):
            file_errors = list(conversion.errors)
            if path.stem in rows:
                file_errors.append(f"id {path.stem!r} is taken by another file; names must differ across folders")
            image_hash = conversion.image_hash
            if image_hash and (first := first_with.setdefault(image_hash, path)) != path:
                file_errors.append(f"the same image as that of {first}; accepted: each image once")
            rows[path.stem] = conversion.row
            invalid += bool(file_errors)
            errors += [f"{path}: {error}" for error in file_errors]
            if conversion.warnings:
                warnings[path.stem] = conversion.warnings
                log.warning("\n".join(f"warning: {path}: {warning}" for warning in conversion.warnings))
    if invalid:
        raise UserError("\n  ".join([f"errors in {invalid} of {len(sources)} labelled portraits", *errors]))
    return [row for row in (rows[stem] for stem in sorted(rows, key=sort_key)) if row], warnings


def convert(source: LabelSource, classes: ClassTable, size: int, ratio: float) -> Conversion:
    """Reads one label file; image and mask are cropped and resized alike, to `size` x `size / ratio` pixels."""
    try:
        picture, mask, warnings = source.read()
        if np.isin(mask, [*classes.role_ids("background"), IGNORE]).all():
            raise InvalidLabel("nothing but background in it; accepted: at least one part")
    except InvalidLabel as error:
        return Conversion(None, error.args)
    # cropped and resized as `ingest.portraits.load_portrait` does, so that a U-Net meets the pixels it was trained on
    target = (round(size / ratio), size)
    image = ImageOps.fit(picture, target, Image.Resampling.LANCZOS)
    small_mask = ImageOps.fit(Image.fromarray(mask), target, Image.Resampling.NEAREST)
    image_hash = hashlib.sha256(f"{picture.size}".encode() + picture.tobytes()).digest()
    row = labelled_row(source.path.stem, np.asarray(image), np.asarray(small_mask), classes)
    return Conversion(row, (), warnings, image_hash)


def labelled_row(portrait_id: str, image: np.ndarray, mask: np.ndarray, classes: ClassTable) -> dict[str, Any]:
    """A row of `SCHEMA` from uint8 RGB (H, W, 3) and class ids, uint8 (H, W)."""
    return {
        "id": portrait_id,
        "image": {"bytes": encode_jpeg(image), "path": f"{portrait_id}.jpg"},
        "mask": {"bytes": encode_mask(mask, classes), "path": f"{portrait_id}.png"},
    }


def duplicate_groups(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The representative of each row's group of near-duplicates, by id: the group's first id in the rows' order.

    Portraits of one image are in one group.
    """
    pairs = near_duplicates(decode_image(row["image"]["bytes"]) for row in rows)
    representatives = group_representatives([row["id"] for row in rows], pairs)
    if duplicates := [key for key, representative in representatives.items() if key != representative]:
        log.info("near-duplicates of others or of their images, in the same split: %s", ", ".join(duplicates))
    return representatives
