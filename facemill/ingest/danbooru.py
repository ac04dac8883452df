"""Danbooru's metadata as rows of the posts table: decoded in blocks and joined with the images."""

import datetime
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from facemill.data.batching import map_ahead
from facemill.errors import first_line
from facemill.ingest.danbooru_records import Record, as_binary, read_records
from facemill.ingest.danbooru_tags import tag_columns
from facemill.ingest.posts import POSTS, Collection
from facemill.ingest.streams import Block, read_blocks
from facemill.log import progress

BLOCK = 16 << 20
"""Bytes of metadata that are decoded at a time: some 6,000 posts."""

NUMBER = r"^(?:danbooru_)?([0-9]{1,18})(?:$|[_.]|-\d*(?:$|[^-\d]))"
"""The id of a post at the beginning of an image's name: not of a date, nor of hexadecimal digits."""

MD5 = r"(?:^|[-_])([0-9a-f]{32})$"
"""An MD5 that an image's name is or ends in: `sample-MD5`, `__tags__MD5`."""

NO_MD5S = np.zeros(0, "S33")

_COLUMN_OF_FIELD = {
    **{field: field for field in ("md5", "rating", "score", "fav_count", "is_deleted", "is_banned", "source")},
    **{"image_width": "width", "image_height": "height", "file_ext": "ext"},
}


class Decoded(msgspec.Struct):
    """The content of a block of metadata."""

    source: str
    """The block's source."""
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


def decode(block: Block, numbers: np.ndarray, md5s: np.ndarray = NO_MD5S) -> Decoded:
    """Decodes a block of metadata, with columns for the posts that have an image.

    Args:
        block: the records.
        numbers: the ids in the images' names, int64, sorted.
        md5s: the MD5s that images are named by, S32, sorted.
    """
    records, lines, broken = read_records(block)
    ids = np.fromiter((record.id for record in records), np.int64, len(records))
    is_wanted = _is_among(ids, numbers)
    if len(md5s):
        is_wanted |= _is_among(_md5s(record.md5 for record in records), md5s)
    wanted = np.flatnonzero(is_wanted)
    columns, faults = _columns([records[i] for i in wanted])
    if faults:
        faulty, sound = wanted[list(faults)], np.delete(wanted, list(faults))
        broken += [(int(line), reason) for line, reason in zip(lines[faulty], faults.values(), strict=True)]
        keep = pa.array(np.delete(np.arange(len(wanted)), list(faults)))
        columns = {name: column.take(keep) for name, column in columns.items()}
        wanted = sound - np.searchsorted(np.sort(faulty), sound)  # indices once the faulty posts are gone
        ids, lines = np.delete(ids, faulty), np.delete(lines, faulty)
    return Decoded(block.source, len(ids) + len(broken), lines, ids, wanted, columns, sorted(broken))


def _is_among(values: np.ndarray, keys: np.ndarray) -> np.ndarray:
    return np.searchsorted(keys, values, "right") > np.searchsorted(keys, values, "left")


def _md5s(texts: Iterable[str | None]) -> np.ndarray:
    return np.array([(text or "").lower().encode() for text in texts], "S33")  # what is longer is no MD5


def _columns(records: list[Record]) -> tuple[dict[str, pa.Array], dict[int, str]]:
    """The columns of records, and index and reason of each record that cannot be used."""
    if not records:
        return {}, {}
    faults: dict[int, str] = {}
    columns = {
        column: pa.array([getattr(record, field) for record in records], POSTS.field(column).type)
        for field, column in _COLUMN_OF_FIELD.items()
    }
    dates = [None if record.created_at is None else str(record.created_at) for record in records]
    columns["created_at"] = _dates(pa.array(dates, pa.string()), faults)
    columns["fav_count"] = _favorites(columns["fav_count"], records)
    return columns | tag_columns(records, faults), faults


def _dates(texts: pa.Array, faults: dict[int, str]) -> pa.Array:
    """Dates of the dumps (`2008-06-10 03:08:07.34205 UTC`) and of the API (`2020-07-26T10:31:20.176-04:00`), in UTC."""
    kind = POSTS.field("created_at").type
    if not pc.any(pc.starts_with(texts, "0000")).as_py():  # a year of Arrow's alone
        with suppress(pa.ArrowInvalid):  # offsets, or what is no date
            return pc.replace_substring(texts, " UTC", "").cast(pa.timestamp("us")).cast(kind)
    return pa.array([_date(i, text, faults) for i, text in enumerate(texts.to_pylist())], kind)


def _date(row: int, text: str | None, faults: dict[int, str]) -> datetime.datetime | None:
    if not text:
        return None
    try:
        if re.fullmatch(r"\d{9,10}", text):  # seconds since 1970, as gallery-dl and other boorus write them
            return datetime.datetime.fromtimestamp(int(text), datetime.UTC)
        date = datetime.datetime.fromisoformat(text.replace(" UTC", ""))
    except ValueError as error:
        faults[row] = f"created_at: {first_line(error)}"
        return None
    return date.replace(tzinfo=date.tzinfo or datetime.UTC).astimezone(datetime.UTC)


def _favorites(counts: pa.Array, records: list[Record]) -> pa.Array:
    """The number of users where the dumps list them, the API's count elsewhere."""
    texts = as_binary([record.favs for record in records])
    listed = pc.add(pc.count_substring(texts, ","), pc.greater(pc.binary_length(texts), 2).cast(pa.int64()))
    return pc.coalesce(counts, pc.if_else(pc.starts_with(texts, "["), listed, None).cast(pa.int32()))


def read_danbooru(
    metadata: list[Path], images: pl.DataFrame, collection: Collection, max_broken: float, threads: int = 1
) -> None:
    """Adds the posts of Danbooru's metadata that have an image; a post with several images is added for each.

    Metadata is JSON lines as in the dumps (numbers as strings, `tags` and `favs` as lists), or the API's JSON
    (`tag_string`, `fav_count`), as lines, as one list or an object a file; plain, compressed or inside a tar. Ratings
    are stored as they are: `s` is safe until 2022 and sensitive since, when `g` came for general.

    Args:
        metadata: files of metadata.
        images: the table of `list_images`. The name of an image begins with the number of its post, as in the
            originals (`263162.jpg`), the 512 px sets, the Portraits (`263162_1.jpg`) and gallery-dl's
            (`danbooru_263162_MD5.jpg`), or it is the MD5 of the post, or ends in it, as Danbooru's own do.
        collection: to which posts and rejects are added.
        max_broken: share of records that may be broken.
        threads: that decode metadata.

    Raises:
        UserError: More records than the share `max_broken` cannot be decoded.
    """
    number = pl.col("id").str.extract(NUMBER).cast(pl.Int64)
    md5 = pl.when(number.is_null()).then(pl.col("id").str.to_lowercase().str.extract(MD5))
    images = images.with_columns(number=number, md5=md5).sort("number", "md5", maintain_order=True, nulls_last=True)
    is_unnamed = pl.col("number").is_null() & pl.col("md5").is_null()
    for image_id, path in images.filter(is_unnamed).select("id", "path").iter_rows():
        collection.reject(path, "its name begins with no post's id and is no MD5", post_id=image_id)
    images = images.filter(~is_unnamed)
    numbers, md5s = images["number"].drop_nulls().to_numpy(), _md5s(images["md5"].drop_nulls())
    named = np.zeros(len(images), bool)
    blocks = (
        block
        for path in progress(metadata, "reading metadata", len(metadata), "files")
        for block in read_blocks(path, BLOCK)
    )
    with ThreadPoolExecutor(threads) as pool:
        for decoded in map_ahead(pool, partial(decode, numbers=numbers, md5s=md5s), blocks, threads):
            _add(decoded, images, (numbers, md5s), named, collection)
    collection.check_broken(max_broken)
    collection.reject_unnamed(images, named)


def _add(
    decoded: Decoded,
    images: pl.DataFrame,
    keys: tuple[np.ndarray, np.ndarray],
    named: np.ndarray,
    collection: Collection,
) -> None:
    """Adds the posts of a block, each with its images, and its rejects.

    Args:
        decoded: the block.
        images: those with a number, sorted, then those with an MD5, sorted.
        keys: the numbers, int64, and the MD5s, S33, of the images.
        named: for each image whether a post names it; updated in place.
        collection: to which posts and rejects are added.
    """
    collection.records += decoded.records
    for line, reason in decoded.broken:
        collection.reject_broken(decoded.source, line, reason)
    is_without_image = np.ones(len(decoded.ids), bool)
    is_without_image[decoded.wanted] = False
    lines, ids = decoded.lines, decoded.ids
    collection.reject_lines(
        decoded.source, "no image file with this id", lines[is_without_image], ids[is_without_image]
    )

    # pairs of a wanted post and an image that bears its number or its MD5, in the order of posts
    numbers, md5s = keys
    posts, rows = _pairs(ids[decoded.wanted], numbers)
    if len(md5s) and len(decoded.wanted):
        posts_by_md5, rows_by_md5 = _pairs(_md5s(decoded.columns["md5"].to_pylist()), md5s)
        posts, rows = np.append(posts, posts_by_md5), np.append(rows, rows_by_md5 + len(numbers))
        order = np.argsort(posts, kind="stable")
        posts, rows = posts[order], rows[order]

    # of posts that name the same image the first counts, in earlier blocks and in this one
    _, first_pair = np.unique(rows, return_index=True)
    is_new = np.zeros(len(rows), bool)
    is_new[first_pair] = True
    is_new &= ~named[rows]
    posts, rows = posts[is_new], rows[is_new]
    named[rows] = True
    repeated = np.delete(decoded.wanted, posts)
    collection.reject_lines(decoded.source, "an earlier post has the same id", lines[repeated], ids[repeated])

    columns: dict[str, Any] = {name: column.take(pa.array(posts)) for name, column in decoded.columns.items()}
    table = images[rows]
    columns |= {
        name: table[name].to_arrow().cast(POSTS.field(name).type) for name in ("id", "path", "offset", "length")
    }
    collection.add(columns, len(rows))


def _pairs(values: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of a value and an equal one of the sorted keys: indices into both, in the order of values."""
    first, end = np.searchsorted(keys, values, "left"), np.searchsorted(keys, values, "right")
    counts = end - first
    of_value = np.repeat(np.arange(len(values)), counts)
    nth = np.arange(len(of_value)) - np.repeat(np.cumsum(counts) - counts, counts)
    return of_value, first[of_value] + nth
