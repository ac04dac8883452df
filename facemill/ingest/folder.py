"""Folders and archives of images, with or without a CSV file of tags."""

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl
from PIL import Image

from facemill.data.image_files import IMAGE_ERRORS
from facemill.data.names import as_key, printed_path
from facemill.data.text import read_text
from facemill.errors import UserError, first_line
from facemill.ingest.archives import read_image
from facemill.ingest.images import without_repeats
from facemill.ingest.posts import TAG_COLUMNS, Collection
from facemill.log import log, progress

_KEY_HEADERS = {"id", "image", "file", "filename", "name", "path", "filepath", "imagename", "imageid", "imagepath"}
_TAG_HEADERS = {"tags", "tag", "caption", "captions", "text", "labels", "tagstring", "description"}
_DELIMITERS = ",;\t|"


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

    Columns are separated by commas, else by what makes the first of them name images. A header may name the columns of
    images and tags; without it they are the first, and the rest.

    Raises `UserError` when the file is no CSV, or names none of the images.
    """
    try:
        text = read_text(path)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    index_of = {key: index for column in ("id", "name") for index, key in enumerate(images[column])}
    index_of = {PurePosixPath(name).name: index for index, name in enumerate(images["name"])} | index_of
    index_of = {as_key(key): index for key, index in index_of.items()}
    rows: list[tuple[int, str, list[str]]] = []
    faults = []
    for delimiter in _DELIMITERS:
        try:
            rows = _rows(text, delimiter)
        except ValueError as error:
            faults.append(f"{path}:{error}")
            continue
        if any(key in index_of for _, key, _ in rows):
            break
        found = repr(rows[0][1][:60]) if rows else "nothing"
        faults.append(f"{path}: names none of the {len(images)} images; found {found} in the first row")
    else:
        raise UserError(f"{faults[0]}; accepted: CSV of an id or file name, then tags, quotes in pairs around a cell")
    tags: list[list[str] | None] = [None] * len(images)
    for line, key, cells in rows:
        index = index_of.get(key)
        if index is None:
            collection.reject(path, "no image file with this id", line, key)
        elif tags[index] is not None:
            collection.reject(path, "an earlier row has the same id", line, key)
        else:
            tags[index] = _split(cells, pattern)
    if untagged := tags.count(None):
        log.info("%s has no row for %d of %d images: they have no tags", path, untagged, len(tags))
    return [image_tags or [] for image_tags in tags]


def _rows(text: str, delimiter: str) -> list[tuple[int, str, list[str]]]:
    """Line, key of the image and cells of tags of each row, without the header.

    Raises `ValueError` with line and reason when quotes are not in pairs around a cell, or a cell is too large.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    rows: list[tuple[int, str, list[str]]] = []
    key_column, tag_columns = 0, slice(1, None)
    try:
        for number, cells in enumerate(reader):
            if number == 0 and (columns := _columns(cells)):
                key_column, tag_columns = columns
            elif len(cells) > key_column and any(cells):
                rest = [cells[i] for i in range(len(cells))[tag_columns] if i != key_column]
                rows.append((reader.line_num, as_key(cells[key_column].strip()), rest))
    except csv.Error as error:
        raise ValueError(f"{reader.line_num}: no CSV ({error})") from error
    return rows


def _columns(header: list[str]) -> tuple[int, slice] | None:
    """The columns of images and tags, or None where a row is no header."""
    names = [re.sub(r"[\s_-]", "", cell).lower() for cell in header]
    key = next((i for i, name in enumerate(names) if name in _KEY_HEADERS), None)
    if key is None or (key > 0 and names[0] not in {"", "unnamed:0", "index", *_TAG_HEADERS}):
        return None
    tags = next((i for i, name in enumerate(names) if name in _TAG_HEADERS), None)
    if tags is None:
        return key, slice(key + 1, None)
    return key, slice(tags, None if tags == len(names) - 1 else tags + 1)


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
        with Image.open(printed_path(path) if is_file else io.BytesIO(read_image(path, offset, length))) as image:
            return *image.size, (image.format or "").lower().replace("jpeg", "jpg")
    except IMAGE_ERRORS as error:
        raise ValueError(first_line(error)) from error
