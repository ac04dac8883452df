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
    """The names of the attributes, from the file's head.

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


def _rows(path: Path, head: int) -> Iterator[tuple[int, list[str]]]:
    """The values of each line after the head, with its number; CSV and columns between spaces alike."""
    with path.open(errors="replace") as file:
        for number, line in enumerate(file, 1):
            if number > head and line.strip():
                yield number, [v.strip() for v in line.split(",")] if "," in line else line.split()


def read_partition(partition: Path, collection: Collection) -> dict[str, str]:
    """The split of each image, from `list_eval_partition.txt` or its CSV form; broken lines are rejected."""
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
    """Adds the images of CelebA that have a row of attributes; the true ones are their tags too.

    `images` are as `list_images` gives them, ids without repeats. What the file says of its length is not trusted.
    Raises `UserError` when the file has another form, or more than the share `max_broken` of its lines is broken.
    """
    names = read_names(attributes)
    splits = read_partition(partition, collection) if partition else {}
    place = {id: row for row, id in enumerate(images["id"])}
    named = np.zeros(len(images), bool)
    rows: list[int] = []
    values: list[list[bool]] = []
    with attributes.open(errors="replace") as file:
        first = file.readline().strip()
    for line, (file_name, *given) in _rows(attributes, 2 if first.isdecimal() else 1):
        collection.records += 1
        id = Path(file_name).stem
        if len(given) != len(names) or not {"1", "-1", "0"}.issuperset(given):
            accepted = f"accepted: a file name and {len(names)} values of 1 or -1"
            collection.reject_broken(attributes, line, accepted)
        elif id not in place:
            collection.reject(attributes, "no image file with this id", line, id)
        elif named[place[id]]:
            collection.reject(attributes, "an earlier row has the same id", line, id)
        else:
            named[place[id]] = True
            rows.append(place[id])
            values.append([value == "1" for value in given])
    collection.check_broken(max_broken)
    if first.isdecimal() and int(first) != collection.records:
        log.info("%s says it has %s rows, and has %d", attributes, first, collection.records)
    collection.reject_unnamed(images, named)
    tags = [[name for name, value in zip(names, row, strict=True) if value] for row in values]
    truth = [dict(zip(names, row, strict=True)) for row in values]
    chosen = images[rows]
    add_files(chosen, tags, collection, {"attributes": truth, "split": [splits.get(id) for id in chosen["id"]]})
    missing = [id for id in chosen["id"] if id not in splits] if partition else []
    if missing:
        log.info("%s names no split for %d images, the first %s", partition, len(missing), missing[0])
