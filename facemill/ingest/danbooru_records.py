"""Records of Danbooru's metadata, in the form of the yearly dumps and in that of the API, which gallery-dl writes.

https://gwern.net/danbooru2021#metadata, https://danbooru.donmai.us/wiki_pages/help:api
"""

from typing import Annotated, Literal

import msgspec
import numpy as np
import pyarrow as pa

from facemill.errors import first_line
from facemill.ingest.streams import Block, line_ends

ABSENT = msgspec.Raw(b"")
"""The value of a raw field that a record lacks."""

_Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]


class Record(msgspec.Struct, gc=False):
    """A post, with the used fields of both forms; decoded leniently, since the dumps write numbers as strings."""

    id: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    md5: str | None = None
    created_at: str | int | None = None  # an int is seconds since 1970
    rating: Literal["g", "s", "q", "e"] | None = None
    score: _Int32 | None = None
    fav_count: _Int32 | None = None  # the API
    image_width: _Int32 | None = None
    image_height: _Int32 | None = None
    file_ext: str | None = None
    is_deleted: bool | None = None
    is_banned: bool | None = None
    source: str | None = None
    favs: msgspec.Raw = ABSENT  # the dumps: ids of users
    tags: msgspec.Raw = ABSENT  # the dumps: [{"id", "name", "category"}, ...]; gallery-dl: words beside tag_string
    tag_string: str | None = None  # the API
    tag_string_general: str | None = None
    tag_string_artist: str | None = None
    tag_string_copyright: str | None = None
    tag_string_character: str | None = None
    tag_string_meta: str | None = None


_DECODER = msgspec.json.Decoder(Record, strict=False)


def read_records(block: Block) -> tuple[list[Record], np.ndarray, list[tuple[int, str]]]:
    """Decodes the records of a block.

    Returns:
        The records that are posts, the line of each, int64, and line and reason of each record that is broken.
    """
    if block.records == b"":
        return [], np.zeros(0, np.int64), [(block.first, "an empty file")]
    if not isinstance(block.records, bytes):
        return _read_each(block.records, block.first)
    try:  # all lines at once, since hardly a block has one that is empty or broken
        records = _DECODER.decode_lines(block.records)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _read_each(block.records.split(b"\n"), block.first)
    if _is_one_a_line(block.records, len(records)) and all(map(_has_tags, records)):
        return records, np.arange(block.first, block.first + len(records)), []
    return _read_each(block.records.split(b"\n"), block.first)


def _is_one_a_line(text: bytes, objects: int) -> bool:
    """Whether the objects that a text holds are one a line, which `decode_lines` does not ask for."""
    ends = line_ends(text)
    lines = len(ends) + (not text.endswith(b"\n"))
    return objects == lines and all(
        text[end : end + 1] in b"{" and text[end - 3 : end].rstrip().endswith(b"}") for end in ends
    )


def _read_each(texts: list[bytes], first: int) -> tuple[list[Record], np.ndarray, list[tuple[int, str]]]:
    records, lines, broken = [], [], []
    for line, text in enumerate(texts, first):
        if not text or text.isspace():
            continue
        try:
            record = _DECODER.decode(text)
            if not _has_tags(record):
                raise ValueError("neither `tags` nor `tag_string`: no post")
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            broken.append((line, first_line(error)))
        else:
            records.append(record)
            lines.append(line)
    return records, np.array(lines, np.int64), broken


def _has_tags(record: Record) -> bool:
    return record.tags is not ABSENT or has_tag_strings(record)


def as_binary(values: list[msgspec.Raw]) -> pa.Array:
    """Raw values as an array of bytes; all are copied at once."""
    offsets = np.zeros(len(values) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, values), np.int64, len(values)), out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(values))]
    return pa.Array.from_buffers(pa.large_binary(), len(values), buffers)


def has_tag_strings(record: Record) -> bool:
    """Whether a record has its tags in the API's form."""
    return record.tag_string is not None or record.tag_string_general is not None
