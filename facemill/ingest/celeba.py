"""CelebA's attributes and partition. https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

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
    with attributes.open(errors="replace") as file:
        first, second = file.readline().strip(), file.readline()
    if first.isdecimal() and second.split():
        return second.split()
    if first.startswith("image_id,") and len(first.split(",")) > 1:
        return [name.strip() for name in first.split(",")[1:]]
    raise UserError(
        f"{attributes}: not CelebA's attributes; accepted: a count, then a line with the names; or CSV from image_id on"
    )


def _rows(path: Path, header_lines: int) -> Iterator[tuple[int, list[str]]]:
    """Number and values of each line after the header, separated by commas or by spaces."""
    with path.open(errors="replace") as file:
        for number, line in enumerate(file, 1):
            if number > header_lines and line.strip():
                yield number, [v.strip() for v in line.split(",")] if "," in line else line.split()


def read_partition(partition: Path, collection: Collection) -> dict[str, str]:
    """The split of each image by its id, from `list_eval_partition.txt` or its CSV form; broken lines are rejected."""
    splits = {}
    for line, values in _rows(partition, 0):
        if len(values) == 2 and values[1] in SPLITS:
            splits[Path(values[0]).stem] = SPLITS[values[1]]
        elif values != ["image_id", "partition"]:
            collection.reject_broken(partition, line, "accepted: a file name and 0, 1 or 2")
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
        UserError: The file of attributes has another form, or a larger share of lines than `max_broken` is broken.
    """
    names = read_names(attributes)
    splits = read_partition(partition, collection) if partition else {}
    index_of = {image_id: index for index, image_id in enumerate(images["id"])}
    named = np.zeros(len(images), bool)
    indices: list[int] = []
    rows: list[list[bool]] = []
    with attributes.open(errors="replace") as file:
        first = file.readline().strip()
    for line, (file_name, *values) in _rows(attributes, 2 if first.isdecimal() else 1):
        collection.records += 1
        image_id = Path(file_name).stem
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
    collection.check_broken(max_broken)
    if first.isdecimal() and int(first) != collection.records:
        log.info("%s: its first line counts %s rows; found %d", attributes, first, collection.records)
    collection.reject_unnamed(images, named)
    tags = [[name for name, value in zip(names, row, strict=True) if value] for row in rows]
    structs = [dict(zip(names, row, strict=True)) for row in rows]
    images = images[indices]
    add_files(images, tags, collection, {"attributes": structs, "split": list(map(splits.get, images["id"]))})
    missing = [image_id for image_id in images["id"] if image_id not in splits] if partition else []
    if missing:
        log.info("%s names no split for %d images, the first %s", partition, len(missing), missing[0])
