"""Tags of Danbooru's metadata as columns of the posts table, one a category."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facemill.errors import first_line
from facemill.ingest.danbooru_records import Record, as_binary, has_tag_strings
from facemill.ingest.posts import CATEGORIES


class _Tag(msgspec.Struct, gc=False):
    name: str
    category: int = 0


class _CodedTags(NamedTuple):
    """The tags of posts, one post after another."""

    counts: np.ndarray
    """The number of tags of each post, int64."""
    codes: np.ndarray
    """Each tag of each post, as an index into `tags`."""
    tags: list[_Tag]
    """The distinct tags."""


_TAG = msgspec.json.Decoder(_Tag, strict=False)
_TAGS = msgspec.json.Decoder(list[_Tag], strict=False)
_TAG_LIST = msgspec.json.Decoder(list[_Tag | str] | str, strict=False)
_EMPTY = msgspec.Raw(b"[]")


def tag_columns(records: list[Record], faults: dict[int, str]) -> dict[str, pa.Array]:
    """The columns `tags_general` and so on of records; tags of unknown categories are in the first.

    Records whose tags cannot be decoded have none; their index and the reason are added to `faults`.
    """
    if any(map(has_tag_strings, records)):
        coded = _mixed_tags(records, faults)
    else:
        coded = _dumped_tags([record.tags for record in records], faults)
    names = pa.array([tag.name for tag in coded.tags], pa.string())
    known = set(CATEGORIES.values())
    categories = [tag.category if tag.category in known else CATEGORIES["general"] for tag in coded.tags]
    category_of = np.array(categories, np.int8)  # of each distinct tag, which so is in the names of one column
    categories_of_all = category_of[coded.codes]
    record_of_tag = np.repeat(np.arange(len(records), dtype=np.int32), coded.counts)
    columns = {}
    for category, number in CATEGORIES.items():
        members, mine = np.flatnonzero(categories_of_all == number), np.flatnonzero(category_of == number)
        index = np.zeros(len(category_of), np.int32)
        index[mine] = np.arange(len(mine))
        offsets = np.zeros(len(records) + 1, np.int32)
        np.cumsum(np.bincount(record_of_tag[members], minlength=len(records)), out=offsets[1:])
        values = pa.DictionaryArray.from_arrays(pa.array(index[coded.codes[members]]), names.take(pa.array(mine)))
        columns[f"tags_{category}"] = pa.ListArray.from_arrays(pa.array(offsets), values)
    return columns


def _dumped_tags(lists: list[msgspec.Raw], faults: dict[int, str]) -> _CodedTags:
    """The tags of the dumps' lists.

    A tag is written alike wherever it occurs, so that only distinct texts are decoded. Lists in which that does not
    hold (spaces between the tags, braces in their names) are decoded one by one.
    """
    counts = np.array([text != _EMPTY for text in lists], np.int64)
    texts = as_binary([text for text in lists if text != _EMPTY])
    if pc.all(pc.starts_with(texts, "[{")).as_py():
        split = pc.split_pattern(pc.binary_slice(texts, 2, -2), "},{")
        distinct = split.values.dictionary_encode()
        try:
            tags = _decode_tags(distinct.dictionary.to_pylist())
            counts[counts > 0] = np.diff(split.offsets.to_numpy())
            return _CodedTags(counts, distinct.indices.to_numpy(), tags)
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
    return _encode(_decode_lists(lists, faults))


def _decode_tags(texts: list[bytes]) -> list[_Tag]:
    """The tags of texts without their braces."""
    joined = b"},{".join(texts)
    if joined.count(b"{") == joined.count(b"}") == len(texts) - 1:  # no text has a brace
        tags = _TAGS.decode(b"[{%b}]" % joined)
        if len(tags) == len(texts):  # or a string goes on in the next text
            return tags
    return [_TAG.decode(b"{%b}" % text) for text in texts]


def _decode_lists(texts: list[msgspec.Raw], faults: dict[int, str]) -> Iterator[list[_Tag]]:
    """Tags of lists with categories, and of lists or strings of words, which are general tags."""
    for i, text in enumerate(texts):
        try:
            tags = _TAG_LIST.decode(text)
            words = tags.split() if isinstance(tags, str) else tags
            yield [_Tag("_".join(tag.split())) if isinstance(tag, str) else tag for tag in words]
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            faults[i] = f"tags: {first_line(error)}"
            yield []


def _encode(lists: Iterable[list[_Tag]]) -> _CodedTags:
    code_of: dict[tuple[str, int], int] = {}
    counts, codes = [], []
    for tags in lists:
        counts.append(len(tags))
        codes += [code_of.setdefault((tag.name, tag.category), len(code_of)) for tag in tags]
    return _CodedTags(np.array(counts, np.int64), np.array(codes, np.int64), [_Tag(*key) for key in code_of])


def _mixed_tags(records: list[Record], faults: dict[int, str]) -> _CodedTags:
    """The tags of records of the API's form, or of both forms; the API's counts where a record has both."""
    dumped = [i for i, record in enumerate(records) if not has_tag_strings(record)]
    list_faults: dict[int, str] = {}
    lists = list(_decode_lists([records[i].tags for i in dumped], list_faults))
    faults |= {dumped[i]: reason for i, reason in list_faults.items()}
    decoded = dict(zip(dumped, lists, strict=True))
    return _encode(decoded[i] if i in decoded else _api_tags(record) for i, record in enumerate(records))


def _api_tags(record: Record) -> list[_Tag]:
    strings = {number: getattr(record, f"tag_string_{category}") for category, number in CATEGORIES.items()}
    if not any(strings.values()):
        strings = {CATEGORIES["general"]: record.tag_string}
    return [_Tag(name, number) for number, names in strings.items() for name in (names or "").split()]
