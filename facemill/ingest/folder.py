"""Folders and archives of images, with or without a CSV file of tags."""

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
from PIL import Image

from facemill.data.image_files import IMAGE_ERRORS
from facemill.errors import UserError, first_line
from facemill.ingest.archives import read_image
from facemill.ingest.images import without_repeats
from facemill.ingest.posts import TAG_COLUMNS, Collection
from facemill.log import log, progress

_HEADER_CELLS = {"id", "image", "image_id", "file", "filename", "file_name", "name", "path"}


def read_folder(images: pl.DataFrame, tags: Path | None, tag_pattern: str | None, collection: Collection) -> None:
    """Adds the images; an id is the name without its suffix where that is unique, else the path in the root.

    Of images with the same path in several roots the first is added, the others are rejected.

    Args:
        images: the table of `list_images`.
        tags: a CSV file of an id, file name or path, then tags.
        tag_pattern: regular expression of a tag; None: separated by commas, or in a single cell by spaces.
        collection: to which posts and rejects are added.
    """
    unique = pl.col("id").is_unique()
    images = without_repeats(images.with_columns(id=pl.when(unique).then("id").otherwise("name")), collection.reject)
    tags_of_images = read_tags(tags, tag_pattern, images, collection) if tags else [[]] * len(images)
    add_files(images, tags_of_images, collection)


def read_tags(path: Path, pattern: str | None, images: pl.DataFrame, collection: Collection) -> list[list[str]]:
    """The tags of each image from a CSV file; rows that name no image are rejected, images without a row have none.

    Raises `UserError` when it names none of the images.
    """
    index_of = {key: index for column in ("id", "name") for index, key in enumerate(images[column])}
    index_of = {Path(name).name: index for index, name in enumerate(images["name"])} | index_of
    tags: list[list[str] | None] = [None] * len(images)
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        reader = csv.reader(file)
        for cells in reader:
            if not cells or (reader.line_num == 1 and cells[0].strip().lower() in _HEADER_CELLS):
                continue
            key = cells[0].strip()
            index = index_of.get(key)
            if index is None:
                collection.reject(path, "no image file with this id", reader.line_num, key)
            elif tags[index] is not None:
                collection.reject(path, "an earlier row has the same id", reader.line_num, key)
            else:
                tags[index] = _split(cells[1:], pattern)
    untagged = tags.count(None)
    if untagged == len(tags):
        raise UserError(f"{path}: names none of the {len(tags)} images; accepted: an id or file name, then tags")
    if untagged:
        log.info("%s has no row for %d of %d images: they have no tags", path, untagged, len(tags))
    return [image_tags or [] for image_tags in tags]


def _split(cells: list[str], pattern: str | None) -> list[str]:
    """The tags of a row: the matches of the pattern, else the parts between commas, or the words of a single cell.

    Spaces in a tag become underscores.
    """
    text = ",".join(cells)
    if pattern:
        parts = [match[0] for match in re.finditer(pattern, text)]
    else:
        parts = text.split(",") if "," in text else text.split()
    return list(dict.fromkeys("_".join(part.split()) for part in parts if part.strip()))


def add_files(
    images: pl.DataFrame, tags: Sequence[list[str]], collection: Collection, extra: dict[str, list] | None = None
) -> None:
    """Adds images as posts, with size and format from their headers; pixels are not decoded.

    Args:
        images: the table of `list_images`.
        tags: of each image.
        collection: to which posts and rejects are added.
        extra: further columns of the posts table, with a value for each image.
    """
    extra = extra or {}
    step = 5_000
    bar = progress(range(0, len(images), step), "reading image headers", len(images), step=step)
    for start in bar:
        columns: dict[str, list[Any]] = {
            name: [] for name in ("id", "path", "offset", "length", "width", "height", "ext", TAG_COLUMNS[0], *extra)
        }
        rows = images[start : start + step].select("id", "path", "offset", "length").iter_rows()
        for index, (image_id, path, offset, length) in enumerate(rows, start):
            try:
                width, height, ext = _header(path, offset, length)
            except ValueError as error:
                collection.reject(path, f"not a readable image ({error})", post_id=image_id)
                continue
            row = [image_id, path, offset, length, width, height, ext, tags[index]]
            row += [values[index] for values in extra.values()]
            for column, value in zip(columns.values(), row, strict=True):
                column.append(value)
        collection.add(columns, len(columns["id"]))


def _header(path: str, offset: int | None, length: int | None) -> tuple[int, int, str]:
    """Width, height and format of an image. Raises `ValueError` with the reason when it cannot be read."""
    try:
        is_file = offset is None and not path.startswith("zip://")
        with Image.open(path if is_file else io.BytesIO(read_image(path, offset, length))) as image:
            return *image.size, (image.format or "").lower().replace("jpeg", "jpg")
    except IMAGE_ERRORS as error:
        raise ValueError(first_line(error)) from error
