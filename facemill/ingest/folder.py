"""Any folder or archive of images, with or without a CSV of tags."""

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
from PIL import Image

from facemill.data.image_files import IMAGE_ERRORS
from facemill.errors import UserError
from facemill.ingest.archives import read_image
from facemill.ingest.posts import TAG_COLUMNS, Collection, first_line
from facemill.log import log, progress

_HEADS = {"id", "image", "image_id", "file", "filename", "file_name", "name", "path"}


def read_folder(images: pl.DataFrame, tags: Path | None, tag_pattern: str | None, collection: Collection) -> None:
    """Adds every image. Its id is its name without the suffix where that is unique, else its path in the root.

    `images` are as `list_images` gives them. `tags` is a CSV file: an id, file name or path, then tags (`_split`).
    """
    unique = pl.col("id").is_unique()
    images = images.with_columns(id=pl.when(unique).then("id").otherwise("name"))
    found = read_tags(tags, tag_pattern, images, collection) if tags else [[]] * len(images)
    add_files(images, found, collection)


def read_tags(path: Path, pattern: str | None, images: pl.DataFrame, collection: Collection) -> list[list[str]]:
    """The tags of each image from a CSV file; rows that name no image are rejected, images without a row have none.

    Raises `UserError` when it names none of the images.
    """
    place = {key: row for column in ("id", "name") for row, key in enumerate(images[column])}
    place |= {Path(name).name: row for row, name in enumerate(images["name"]) if Path(name).name not in place}
    tags: list[list[str] | None] = [None] * len(images)
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        reader = csv.reader(file)
        for cells in reader:
            if not cells or (reader.line_num == 1 and cells[0].strip().lower() in _HEADS):
                continue
            key = cells[0].strip()
            row = place.get(key)
            if row is None:
                collection.reject(path, "no image file with this id", reader.line_num, key)
            elif tags[row] is not None:
                collection.reject(path, "an earlier row has the same id", reader.line_num, key)
            else:
                tags[row] = _split(cells[1:], pattern)
    untagged = sum(found is None for found in tags)
    if untagged == len(tags):
        raise UserError(f"{path}: names none of the {len(tags)} images; accepted: an id or file name, then tags")
    if untagged:
        log.info("%s has no row for %d of %d images: they have no tags", path, untagged, len(tags))
    return [found or [] for found in tags]


def _split(cells: list[str], pattern: str | None) -> list[str]:
    """The tags of a row: what the pattern finds; without one the parts between commas, in a single cell without
    commas the words. Spaces in a tag become underscores."""
    text = ",".join(cells)
    if pattern:
        parts = [match[0] for match in re.finditer(pattern, text)]
    else:
        parts = text.split(",") if "," in text else text.split()
    return list(dict.fromkeys("_".join(part.split()) for part in parts if part.strip()))


def add_files(
    images: pl.DataFrame, tags: Sequence[list[str]], collection: Collection, more: dict[str, list] | None = None
) -> None:
    """Adds images as posts; size and kind come from their headers, the pixels are not read here."""
    more = more or {}
    step = 5_000
    bar = progress(range(0, len(images), step), "reading image headers", len(images), step=step)
    for start in bar:
        columns: dict[str, list[Any]] = {
            name: [] for name in ("id", "path", "offset", "length", "width", "height", "ext", TAG_COLUMNS[0], *more)
        }
        rows = images[start : start + step].select("id", "path", "offset", "length").iter_rows()
        for row, (id, path, offset, length) in enumerate(rows, start):
            try:
                width, height, ext = _header(path, offset, length)
            except ValueError as error:
                collection.reject(path, f"not a readable image ({error})", id=id)
                continue
            own = [id, path, offset, length, width, height, ext, tags[row], *(values[row] for values in more.values())]
            for column, value in zip(columns.values(), own, strict=True):
                column.append(value)
        collection.add(columns, len(columns["id"]))


def _header(path: str, offset: int | None, length: int | None) -> tuple[int, int, str]:
    try:
        plain = offset is None and not path.startswith("zip://")
        with Image.open(path if plain else io.BytesIO(read_image(path, offset, length))) as image:
            return *image.size, (image.format or "").lower().replace("jpeg", "jpg")
    except IMAGE_ERRORS as error:
        raise ValueError(first_line(error)) from error
