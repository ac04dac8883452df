"""Danbooru's metadata, in the form of the yearly dumps and in that of the API, as columns of the posts table.

https://gwern.net/danbooru2021#metadata, https://danbooru.donmai.us/wiki_pages/help:api
"""

import datetime
import operator
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from facemill.ingest.posts import CATEGORIES, POSTS, Collection, first_line
from facemill.ingest.streams import Block, read_blocks
from facemill.log import progress

BLOCK = 16 << 20
"""Bytes of metadata that are decoded at a time: some 6,000 posts."""

_ABSENT = msgspec.Raw(b"")
_Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]


class _Tag(msgspec.Struct, gc=False):
    name: str
    category: int = 0


class _Record(msgspec.Struct, gc=False):
    """The fields of both forms that are used; decoded leniently, since the dumps write numbers as strings."""

    id: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    md5: str | None = None
    created_at: str | None = None
    rating: Literal["g", "s", "q", "e"] | None = None
    score: _Int32 | None = None
    fav_count: _Int32 | None = None  # the API
    image_width: _Int32 | None = None
    image_height: _Int32 | None = None
    file_ext: str | None = None
    is_deleted: bool | None = None
    is_banned: bool | None = None
    source: str | None = None
    favs: msgspec.Raw = _ABSENT  # the dumps: ids of users
    tags: msgspec.Raw = _ABSENT  # the dumps: [{"id", "name", "category"}, ...]
    tag_string: str | None = None  # the API
    tag_string_general: str | None = None
    tag_string_artist: str | None = None
    tag_string_copyright: str | None = None
    tag_string_character: str | None = None
    tag_string_meta: str | None = None


_DECODER = msgspec.json.Decoder(_Record, strict=False)
_TAG = msgspec.json.Decoder(_Tag, strict=False)
_KNOWN: dict[bytes, _Tag] = {}  # by the text of a tag in the dumps, less its braces
_TAG_LIST = msgspec.json.Decoder(list[_Tag], strict=False)
_PLAIN = {"image_width": "width", "image_height": "height", "file_ext": "ext"}
_plain_fields = operator.attrgetter(*_Record.__struct_fields__[:12])
_PLAIN_COLUMNS = [_PLAIN.get(name, name) for name in _Record.__struct_fields__[:12]]


class Decoded(msgspec.Struct):
    """What a block of metadata holds."""

    records: int
    """All of its records, broken ones too."""
    lines: np.ndarray
    """The line of each post."""
    ids: np.ndarray
    """The id of each post, int64."""
    wanted: np.ndarray
    """Which of these posts the columns hold: indices into `ids`."""
    columns: dict[str, pa.Array]
    """The posts' columns, less those that say where the image is."""
    broken: list[tuple[int, str]]
    """Line and reason of each record that cannot be used."""


def decode(block: Block, numbers: np.ndarray) -> Decoded:
    """Decodes a block of metadata; columns are made for the posts whose id is among `numbers`, sorted int64."""
    rows, lines, broken = _records(block)
    ids = np.fromiter((row.id for row in rows), np.int64, len(rows))
    wanted = np.flatnonzero(_among(ids, numbers))
    rows = [rows[i] for i in wanted]
    columns = (
        {
            name: pa.array(values, pa.string() if name in ("id", "created_at") else POSTS.field(name).type)
            for name, values in zip(_PLAIN_COLUMNS, zip(*map(_plain_fields, rows), strict=True), strict=True)
            if name != "id"
        }
        if rows
        else {}
    )
    faults: dict[int, str] = {}
    if rows:
        columns["created_at"] = _dates(columns["created_at"], faults)
        columns["fav_count"] = _favorites(columns["fav_count"], rows)
        columns |= _tags(rows, faults)
    if faults:
        sound = np.setdiff1d(np.arange(len(rows)), list(faults))
        broken += [(int(lines[wanted[i]]), reason) for i, reason in faults.items()]
        columns = {name: column.take(pa.array(sound)) for name, column in columns.items()}
        keep = np.ones(len(ids), bool)
        keep[wanted[list(faults)]] = False
        wanted = (np.cumsum(keep) - 1)[wanted[sound]]
        ids, lines = ids[keep], lines[keep]
    return Decoded(len(ids) + len(broken), lines, ids, wanted, columns, sorted(broken))


def _among(ids: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    return np.searchsorted(numbers, ids, "right") > np.searchsorted(numbers, ids, "left")


def _records(block: Block) -> tuple[list[_Record], np.ndarray, list[tuple[int, str]]]:
    """The records of a block that are posts, the line of each, and line and reason of the others."""
    if isinstance(block.records, bytes):
        try:
            rows = _DECODER.decode_lines(block.records)
        except (msgspec.DecodeError, UnicodeDecodeError):
            texts = block.records.split(b"\n")
        else:
            lines = np.arange(block.first, block.first + len(rows))
            if len(rows) == block.records.count(b"\n") and all(map(_has_tags, rows)):
                return rows, lines, []
            texts = block.records.split(b"\n")
    else:
        texts = block.records
    rows, lines, broken = [], [], []
    for line, text in enumerate(texts, block.first):
        if not text or text.isspace():
            continue
        try:
            row = _DECODER.decode(text)
            if not _has_tags(row):
                raise ValueError("neither `tags` nor `tag_string`: no post")
        except (msgspec.DecodeError, ValueError) as error:
            broken.append((line, first_line(error)))
        else:
            rows.append(row)
            lines.append(line)
    return rows, np.array(lines, np.int64), broken


def _has_tags(row: _Record) -> bool:
    return row.tags is not _ABSENT or row.tag_string is not None or row.tag_string_general is not None


def _dates(texts: pa.Array, faults: dict[int, str]) -> pa.Array:
    """Dates of the dumps (`2008-06-10 03:08:07.34205 UTC`) and of the API (`2020-07-26T10:31:20.176-04:00`), in UTC."""
    try:
        return pc.utf8_rtrim(texts, " UTC").cast(pa.timestamp("us")).cast(POSTS.field("created_at").type)
    except pa.ArrowInvalid:  # offsets, or what is no date
        return pa.array(
            [_date(i, text, faults) for i, text in enumerate(texts.to_pylist())], POSTS.field("created_at").type
        )


def _date(row: int, text: str | None, faults: dict[int, str]) -> datetime.datetime | None:
    if not text:
        return None
    try:
        date = datetime.datetime.fromisoformat(text.replace(" UTC", "+00:00"))
    except ValueError as error:
        faults[row] = f"created_at: {first_line(error)}"
        return None
    return date.replace(tzinfo=date.tzinfo or datetime.UTC).astimezone(datetime.UTC)


def _favorites(counts: pa.Array, rows: list[_Record]) -> pa.Array:
    """The number of users where the dumps list them, the API's count elsewhere."""
    lists = [bytes(row.favs) for row in rows]
    listed = [None if text[:1] != b"[" else text.count(b",") + (len(text) > 2) for text in lists]
    return pc.coalesce(counts, pa.array(listed, pa.int32()))


def _tags(rows: list[_Record], faults: dict[int, str]) -> dict[str, pa.Array]:
    """The columns of tags, one a category."""
    texts = [bytes(row.tags) for row in rows]
    if all(texts):
        counts, codes, tags = _dumped_tags(texts, faults)
    else:
        counts, codes, tags = _named_tags(rows, faults)
    names = pa.array([tag.name for tag in tags], pa.string())
    categories = np.array([tag.category for tag in tags], np.int64)[codes] if len(codes) else codes
    row_of = np.repeat(np.arange(len(rows)), counts)
    columns = {}
    known = np.isin(categories, list(CATEGORIES.values()))
    for name, number in CATEGORIES.items():
        chosen = np.flatnonzero(categories == number) if number else np.flatnonzero((categories == 0) | ~known)
        offsets = np.zeros(len(rows) + 1, np.int32)
        np.cumsum(np.bincount(row_of[chosen], minlength=len(rows)), out=offsets[1:])
        values = pa.DictionaryArray.from_arrays(pa.array(codes[chosen], pa.int32()), names)
        columns[f"tags_{name}"] = pa.ListArray.from_arrays(pa.array(offsets), values)
    return columns


def _dumped_tags(texts: list[bytes], faults: dict[int, str]) -> tuple[np.ndarray, np.ndarray, list[_Tag]]:
    """Number of tags of each post, and all tags as codes and what each code is, from the dumps' lists.

    A tag is written alike wherever it occurs, so that only different texts are decoded. Lists in which that does not
    hold (spaces between the tags, braces in their names) are decoded one by one.
    """
    if all(text[:2] in (b"[{", b"[]") for text in texts):
        cut = pc.split_pattern(pa.array([text[2:-2] or None for text in texts], pa.binary()), "},{")
        distinct = cut.values.dictionary_encode()
        try:
            tags = [_KNOWN.get(text) or _learn(text) for text in distinct.dictionary.to_pylist()]
            return np.diff(cut.offsets.to_numpy()), distinct.indices.to_numpy(), tags
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
    return _coded(_decoded_lists(texts, faults))


def _learn(text: bytes) -> _Tag:
    return _KNOWN.setdefault(text, _TAG.decode(b"{%b}" % text))


def _decoded_lists(texts: list[bytes], faults: dict[int, str]) -> Iterator[list[_Tag]]:
    for i, text in enumerate(texts):
        try:
            yield _TAG_LIST.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            faults[i] = f"tags: {first_line(error)}"
            yield []


def _coded(lists: Iterable[list[_Tag]]) -> tuple[np.ndarray, np.ndarray, list[_Tag]]:
    codes: dict[tuple[str, int], int] = {}
    counts, found = [], []
    for tags in lists:
        counts.append(len(tags))
        found += [codes.setdefault((tag.name, tag.category), len(codes)) for tag in tags]
    return np.array(counts, np.int64), np.array(found, np.int64), [_Tag(*key) for key in codes]


def _named_tags(rows: list[_Record], faults: dict[int, str]) -> tuple[np.ndarray, np.ndarray, list[_Tag]]:
    """The same for rows of the API's form, and of both mixed."""

    def tags(row: _Record) -> list[_Tag]:
        strings = {number: getattr(row, f"tag_string_{name}") for name, number in CATEGORIES.items()}
        if not any(strings.values()):
            strings = {0: row.tag_string}
        return [_Tag(name, number) for number, text in strings.items() for name in (text or "").split()]

    dumped = {i: bytes(row.tags) for i, row in enumerate(rows) if row.tags is not _ABSENT}
    own: dict[int, str] = {}
    decoded = dict(zip(dumped, _decoded_lists(list(dumped.values()), own), strict=True))
    faults |= {list(dumped)[i]: reason for i, reason in own.items()}
    return _coded(decoded[i] if i in decoded else tags(row) for i, row in enumerate(rows))


def read_danbooru(
    metadata: list[Path], images: pl.DataFrame, collection: Collection, max_broken: float, processes: int = 1
) -> None:
    """Adds the posts of Danbooru metadata files whose image is there; a post with several images is added for each.

    Metadata are JSON lines as in the dumps (numbers as strings, `tags` and `favs` as lists), or the API's JSON
    (`tag_string`, `fav_count`), as lines or as one list; plain, compressed or inside a tar. Ratings are kept as they
    are: `s` is safe until 2022 and sensitive since, when `g` came for general.

    An image's post is the number that its name begins with, as in the originals (`263162.jpg`), the 512 px sets and
    the Portraits (`263162_1.jpg`); `images` are as `list_images` gives them.

    Raises `UserError` when more than the share `max_broken` of the records cannot be decoded.
    """
    number = pl.col("id").str.extract(r"^(\d{1,18})").cast(pl.Int64)
    images = images.with_columns(number=number).sort("number", maintain_order=True, nulls_last=True)
    for id, path in images.filter(pl.col("number").is_null()).select("id", "path").iter_rows():
        collection.reject(path, "its name does not begin with a post's id", id=id)
    images = images.filter(pl.col("number").is_not_null())
    numbers = images["number"].to_numpy()
    named = np.zeros(len(images), bool)
    blocks = (
        block
        for path in progress(metadata, "reading metadata", len(metadata), "files")
        for block in read_blocks(path, BLOCK)
    )
    for block, found in _map(partial(decode, numbers=numbers), blocks, processes):
        _add(block.source, found, images, numbers, named, collection)
    collection.check_broken(max_broken)
    collection.reject_unnamed(images, named)


def _add(
    source: str, found: Decoded, images: pl.DataFrame, numbers: np.ndarray, named: np.ndarray, collection: Collection
) -> None:
    """Adds the posts of a block, each with its images, and its rejects."""
    collection.records += found.records
    for line, reason in found.broken:
        collection.reject_broken(source, line, reason)
    without = np.ones(len(found.ids), bool)
    without[found.wanted] = False
    collection.reject_lines(source, "no image file with this id", found.lines[without], found.ids[without])
    ids = found.ids[found.wanted]
    first, last = np.searchsorted(numbers, ids, "left"), np.searchsorted(numbers, ids, "right")
    new = ~named[first]
    new[np.setdiff1d(np.arange(len(ids)), np.unique(ids, return_index=True)[1])] = False
    repeated = found.wanted[~new]
    collection.reject_lines(source, "an earlier post has the same id", found.lines[repeated], found.ids[repeated])
    counts = (last - first)[new]
    row = np.repeat(np.flatnonzero(new), counts)
    image = np.repeat(first[new], counts) + np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    named[image] = True
    places = images[image]
    columns: dict[str, Any] = {name: column.take(pa.array(row)) for name, column in found.columns.items()}
    columns |= {
        name: places[name].to_arrow().cast(POSTS.field(name).type) for name in ("id", "path", "offset", "length")
    }
    collection.add(columns, len(row))


def _map(
    function: Callable[[Block], Decoded], blocks: Iterator[Block], processes: int
) -> Iterator[tuple[Block, Decoded]]:
    """Each block with what the function makes of it, in order; few blocks are in memory at a time."""
    if processes == 1:
        yield from ((block, function(block)) for block in blocks)
        return
    waiting: deque = deque()
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        for block in blocks:
            waiting.append((block, pool.submit(function, block)))
            if len(waiting) > 2 * processes:
                first, found = waiting.popleft()
                yield first, found.result()
        for first, found in waiting:
            yield first, found.result()
