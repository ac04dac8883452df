"""Danbooru's metadata as rows of the posts table: decoded in blocks and joined with the images."""

import datetime
import operator
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from facemill.errors import first_line
from facemill.ingest.danbooru_records import PLAIN_FIELDS, Record, read_records
from facemill.ingest.danbooru_tags import tag_columns
from facemill.ingest.posts import POSTS, Collection
from facemill.ingest.streams import Block, read_blocks
from facemill.log import progress

BLOCK = 16 << 20
"""Bytes of metadata that are decoded at a time: some 6,000 posts."""

_COLUMN_OF_FIELD = {"image_width": "width", "image_height": "height", "file_ext": "ext"}
_PLAIN_COLUMNS = [_COLUMN_OF_FIELD.get(field, field) for field in PLAIN_FIELDS]
_plain_values = operator.attrgetter(*PLAIN_FIELDS)


class Decoded(msgspec.Struct):
    """The content of a block of metadata."""

    records: int
    """The number of records, broken ones included."""
    lines: np.ndarray
    """The line of each post, int64."""
    ids: np.ndarray
    """The id of each post, int64."""
    wanted: np.ndarray
    """The posts that `columns` holds: indices into `ids`."""
    columns: dict[str, pa.Array]
    """The columns of the wanted posts, without `id` and the location of the image."""
    broken: list[tuple[int, str]]
    """Line and reason of each record that cannot be used."""


def decode(block: Block, numbers: np.ndarray) -> Decoded:
    """Decodes a block of metadata, with columns for the posts whose id is among `numbers`, sorted int64."""
    records, lines, broken = read_records(block)
    ids = np.fromiter((record.id for record in records), np.int64, len(records))
    wanted = np.flatnonzero(_is_among(ids, numbers))
    columns, faults = _columns([records[i] for i in wanted])
    if faults:
        faulty, sound = wanted[list(faults)], np.delete(wanted, list(faults))
        broken += [(int(line), reason) for line, reason in zip(lines[faulty], faults.values(), strict=True)]
        keep = pa.array(np.delete(np.arange(len(wanted)), list(faults)))
        columns = {name: column.take(keep) for name, column in columns.items()}
        wanted = sound - np.searchsorted(np.sort(faulty), sound)  # indices once the faulty posts are gone
        ids, lines = np.delete(ids, faulty), np.delete(lines, faulty)
    return Decoded(len(ids) + len(broken), lines, ids, wanted, columns, sorted(broken))


def _is_among(ids: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    return np.searchsorted(numbers, ids, "right") > np.searchsorted(numbers, ids, "left")


def _columns(records: list[Record]) -> tuple[dict[str, pa.Array], dict[int, str]]:
    """The columns of records, and index and reason of each record that cannot be used."""
    if not records:
        return {}, {}
    faults: dict[int, str] = {}
    values = dict(zip(_PLAIN_COLUMNS, zip(*map(_plain_values, records), strict=True), strict=True))
    dates, _ = pa.array(values.pop("created_at"), pa.string()), values.pop("id")
    columns = {name: pa.array(column, POSTS.field(name).type) for name, column in values.items()}
    columns["created_at"] = _dates(dates, faults)
    columns["fav_count"] = _favorites(columns["fav_count"], records)
    return columns | tag_columns(records, faults), faults


def _dates(texts: pa.Array, faults: dict[int, str]) -> pa.Array:
    """Dates of the dumps (`2008-06-10 03:08:07.34205 UTC`) and of the API (`2020-07-26T10:31:20.176-04:00`), in UTC."""
    kind = POSTS.field("created_at").type
    try:
        return pc.utf8_rtrim(texts, " UTC").cast(pa.timestamp("us")).cast(kind)
    except pa.ArrowInvalid:  # offsets, or what is no date
        return pa.array([_date(i, text, faults) for i, text in enumerate(texts.to_pylist())], kind)


def _date(row: int, text: str | None, faults: dict[int, str]) -> datetime.datetime | None:
    if not text:
        return None
    try:
        date = datetime.datetime.fromisoformat(text.replace(" UTC", "+00:00"))
    except ValueError as error:
        faults[row] = f"created_at: {first_line(error)}"
        return None
    return date.replace(tzinfo=date.tzinfo or datetime.UTC).astimezone(datetime.UTC)


def _favorites(counts: pa.Array, records: list[Record]) -> pa.Array:
    """The number of users where the dumps list them, the API's count elsewhere."""
    lists = [bytes(record.favs) for record in records]
    listed = [None if text[:1] != b"[" else text.count(b",") + (len(text) > 2) for text in lists]
    return pc.coalesce(counts, pa.array(listed, pa.int32()))


def read_danbooru(
    metadata: list[Path], images: pl.DataFrame, collection: Collection, max_broken: float, processes: int = 1
) -> None:
    """Adds the posts of Danbooru's metadata that have an image; a post with several images is added for each.

    Metadata is JSON lines as in the dumps (numbers as strings, `tags` and `favs` as lists), or the API's JSON
    (`tag_string`, `fav_count`), as lines or as one list; plain, compressed or inside a tar. Ratings are stored as they
    are: `s` is safe until 2022 and sensitive since, when `g` came for general.

    Args:
        metadata: files of metadata.
        images: the table of `list_images`. The name of an image begins with the number of its post, as in the
            originals (`263162.jpg`), the 512 px sets and the Portraits (`263162_1.jpg`).
        collection: to which posts and rejects are added.
        max_broken: share of records that may be broken.
        processes: that decode metadata.

    Raises:
        UserError: More records than the share `max_broken` cannot be decoded.
    """
    number = pl.col("id").str.extract(r"^(\d{1,18})").cast(pl.Int64)
    images = images.with_columns(number=number).sort("number", maintain_order=True, nulls_last=True)
    for image_id, path in images.filter(pl.col("number").is_null()).select("id", "path").iter_rows():
        collection.reject(path, "its name does not begin with a post's id", post_id=image_id)
    images = images.filter(pl.col("number").is_not_null())
    numbers = images["number"].to_numpy()
    named = np.zeros(len(images), bool)
    blocks = (
        block
        for path in progress(metadata, "reading metadata", len(metadata), "files")
        for block in read_blocks(path, BLOCK)
    )
    for block, decoded in _map(partial(decode, numbers=numbers), blocks, processes):
        _add(block.source, decoded, images, numbers, named, collection)
    collection.check_broken(max_broken)
    collection.reject_unnamed(images, named)


def _add(
    source: str, decoded: Decoded, images: pl.DataFrame, numbers: np.ndarray, named: np.ndarray, collection: Collection
) -> None:
    """Adds the posts of a block, each with its images, and its rejects.

    Args:
        source: the file of the block.
        decoded: the block.
        images: sorted by the number of the post.
        numbers: the column `number` of the images.
        named: for each image whether a post names it; updated in place.
        collection: to which posts and rejects are added.
    """
    collection.records += decoded.records
    for line, reason in decoded.broken:
        collection.reject_broken(source, line, reason)
    is_without_image = np.ones(len(decoded.ids), bool)
    is_without_image[decoded.wanted] = False
    lines, ids = decoded.lines, decoded.ids
    collection.reject_lines(source, "no image file with this id", lines[is_without_image], ids[is_without_image])

    # the images of wanted post p have the indices from first_image[p] to end_image[p] - 1
    wanted_ids = ids[decoded.wanted]
    first_image, end_image = np.searchsorted(numbers, wanted_ids, "left"), np.searchsorted(numbers, wanted_ids, "right")

    # of posts with the same id the first counts, in earlier blocks and in this one
    _, first_post = np.unique(wanted_ids, return_index=True)
    is_new = np.zeros(len(wanted_ids), bool)
    is_new[first_post] = True
    is_new &= ~named[first_image]
    repeated = decoded.wanted[~is_new]
    collection.reject_lines(source, "an earlier post has the same id", lines[repeated], ids[repeated])

    # a row for each image of each new post: the post's index, and the image's
    new_posts = np.flatnonzero(is_new)
    images_of_post = (end_image - first_image)[new_posts]
    post_of_row = np.repeat(new_posts, images_of_post)
    first_row_of_post = np.cumsum(images_of_post) - images_of_post
    nth_image_of_post = np.arange(len(post_of_row)) - np.repeat(first_row_of_post, images_of_post)
    image_of_row = first_image[post_of_row] + nth_image_of_post
    named[image_of_row] = True

    rows = images[image_of_row]
    columns: dict[str, Any] = {name: column.take(pa.array(post_of_row)) for name, column in decoded.columns.items()}
    columns |= {name: rows[name].to_arrow().cast(POSTS.field(name).type) for name in ("id", "path", "offset", "length")}
    collection.add(columns, len(rows))


def _map(
    function: Callable[[Block], Decoded], blocks: Iterator[Block], processes: int
) -> Iterator[tuple[Block, Decoded]]:
    """Each block with the function's result, in order; few blocks are in memory at a time."""
    if processes == 1:
        yield from ((block, function(block)) for block in blocks)
        return
    waiting: deque[tuple[Block, Future[Decoded]]] = deque()
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        for block in blocks:
            waiting.append((block, pool.submit(function, block)))
            if len(waiting) > 2 * processes:
                first, result = waiting.popleft()
                yield first, result.result()
        for first, result in waiting:
            yield first, result.result()
