"""CelebA's attributes and partition. https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"""

import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath

import numpy as np
import polars as pl

from facemill.data.names import as_key
from facemill.data.text import read_text
from facemill.errors import UserError
from facemill.ingest.folder import add_files
from facemill.ingest.posts import Collection
from facemill.log import log

SPLITS = {"0": "train", "1": "validation", "2": "test"}


def read_names(attributes: Path) -> list[str]:
    """The names of the attributes, from the file's header.

    The file is `list_attr_celeba.txt` (a count, the names, a line an image) or its CSV form (`image_id` and the names,
    a row an image). Raises `UserError` when it is neither.
    """
    return _header(attributes)[0]


def _header(attributes: Path) -> tuple[list[str], int | None]:
    """The names of the attributes, and the count in the first line; None in CSV form, which has none."""
    first, second = [*islice(_lines(attributes), 2), [], []][:2]
    if len(first) == 1 and first[0].isdecimal() and second:
        return second, int(first[0])
    if len(first) > 1 and first[0].lower() == "image_id":
        return first[1:], None
    raise UserError(
        f"{attributes}: not CelebA's attributes; found {' '.join(first)[:60]!r} in the first line; "
        "accepted: a count, then a line with the names; or CSV from image_id on"
    )


def _lines(path: Path) -> Iterator[list[str]]:
    """Yields the values of each line, separated by commas or by spaces; none for empty lines."""
    try:
        lines = io.StringIO(read_text(path), newline=None)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    for line in lines:
        yield [value.strip().strip('"') for value in line.split(",")] if "," in line else line.split()


def image_id_of(file_name: str) -> str:
    """The id of an image by its name in CelebA's files."""
    return PurePosixPath(as_key(file_name)).stem


def read_partition(partition: Path, collection: Collection, max_broken: float) -> dict[str, str]:
    """The split of each image by its id, from `list_eval_partition.txt` or its CSV form; broken lines are rejected.

    Raises `UserError` when a larger share of lines than `max_broken` is broken.
    """
    splits = {}
    for line, values in enumerate(_lines(partition), 1):
        if not values or values == ["image_id", "partition"]:
            continue
        collection.records += 1
        if len(values) == 2 and values[1] in SPLITS:
            splits[image_id_of(values[0])] = SPLITS[values[1]]
        else:
            collection.reject_broken(partition, line, "accepted: a file name and 0, 1 or 2")
    collection.check_broken(max_broken)
    return splits


def read_celeba(
    attributes: Path, partition: Path | None, images: pl.DataFrame, collection: Collection, max_broken: float
) -> None:
    """Adds the images of CelebA that have a row of attributes; true attributes become tags as well.

    The count in the file's first line may be wrong, as it is in excerpts.

    Args:
        attributes: `list_attr_celeba.txt`, or its CSV form.
        partition: `list_eval_partition.txt`, or its CSV form.
        images: the table of `list_images`, without repeated ids.
        collection: to which posts and rejects are added.
        max_broken: share of lines that may be broken.

    Raises:
        UserError: The file of attributes has another form, or a larger share of the lines of either file than
            `max_broken` is broken.
    """
    names, count = _header(attributes)
    splits = read_partition(partition, collection, max_broken) if partition else {}
    index_of = {image_id: index for index, image_id in enumerate(images["id"])}
    named = np.zeros(len(images), bool)
    indices: list[int] = []
    rows: list[list[bool]] = []
    for line, row in enumerate(_lines(attributes), 1):
        if not row or line <= (1 if count is None else 2):
            continue
        file_name, *values = row
        collection.records += 1
        image_id = image_id_of(file_name)
        index = index_of.get(image_id)
        if len(values) != len(names) or not {"1", "-1", "0"}.issuperset(values):
            accepted = f"accepted: a file name and {len(names)} values of 1 or -1"
            collection.reject_broken(attributes, line, accepted)
        elif index is None:
            collection.reject(attributes, "no image file with this id", line, image_id)
        elif named[index]:
            collection.reject(attributes, "an earlier row has the same id", line, image_id)
        else:
            named[index] = True
            indices.append(index)
            rows.append([value == "1" for value in values])
    if count not in (None, collection.records):
        log.info("%s: its first line counts %d rows; found %d", attributes, count, collection.records)
    collection.check_broken(max_broken)
    collection.reject_unnamed(images, named)
    tags = [[name for name, value in zip(names, row, strict=True) if value] for row in rows]
    structs = [dict(zip(names, row, strict=True)) for row in rows]
    images = images[indices]
    add_files(images, tags, collection, {"attributes": structs, "split": list(map(splits.get, images["id"]))})
    missing = [image_id for image_id in images["id"] if image_id not in splits] if partition else []
    if missing:
        log.info("%s names no split for %d images, the first %s", partition, len(missing), missing[0])
