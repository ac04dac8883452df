"""Tags of Danbooru's metadata as columns of the posts table, one a category."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facemill.errors import first_line
from facemill.ingest.danbooru_records import Record, has_tag_strings
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
_TAG_LIST = msgspec.json.Decoder(list[_Tag | str] | str, strict=False)
_DECODED: dict[bytes, _Tag] = {}  # by the text of a tag in the dumps, without its braces


def tag_columns(records: list[Record], faults: dict[int, str]) -> dict[str, pa.Array]:
    """The columns `tags_general` and so on of records; tags of unknown categories are in the first.

    Records whose tags cannot be decoded have none; their index and the reason are added to `faults`.
    """
    if any(map(has_tag_strings, records)):
        coded = _mixed_tags(records, faults)
    else:
        coded = _dumped_tags([bytes(record.tags) for record in records], faults)
    names = pa.array([tag.name for tag in coded.tags], pa.string())
    categories = np.array([tag.category for tag in coded.tags], np.int64)[coded.codes]
    categories[~np.isin(categories, list(CATEGORIES.values()))] = CATEGORIES["general"]
    record_of_tag = np.repeat(np.arange(len(records)), coded.counts)
    columns = {}
    for category, number in CATEGORIES.items():
        members = np.flatnonzero(categories == number)
        offsets = np.zeros(len(records) + 1, np.int32)
        np.cumsum(np.bincount(record_of_tag[members], minlength=len(records)), out=offsets[1:])
        values = pa.DictionaryArray.from_arrays(pa.array(coded.codes[members], pa.int32()), names)
        columns[f"tags_{category}"] = pa.ListArray.from_arrays(pa.array(offsets), values)
    return columns


def _dumped_tags(texts: list[bytes], faults: dict[int, str]) -> _CodedTags:
    """The tags of the dumps' lists.

    A tag is written alike wherever it occurs, so that only distinct texts are decoded. Lists in which that does not
    hold (spaces between the tags, braces in their names) are decoded one by one.
    """
    if all(text[:2] in (b"[{", b"[]") for text in texts):
        split = pc.split_pattern(pa.array([text[2:-2] or None for text in texts], pa.binary()), "},{")
        distinct = split.values.dictionary_encode()
        try:
            tags = [_DECODED.get(text) or _decode_tag(text) for text in distinct.dictionary.to_pylist()]
            return _CodedTags(np.diff(split.offsets.to_numpy()), distinct.indices.to_numpy(), tags)
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
    return _encode(_decode_lists(texts, faults))


def _decode_tag(text: bytes) -> _Tag:
    return _DECODED.setdefault(text, _TAG.decode(b"{%b}" % text))


def _decode_lists(texts: list[bytes], faults: dict[int, str]) -> Iterator[list[_Tag]]:
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
    lists = list(_decode_lists([bytes(records[i].tags) for i in dumped], list_faults))
    faults |= {dumped[i]: reason for i, reason in list_faults.items()}
    decoded = dict(zip(dumped, lists, strict=True))
    return _encode(decoded[i] if i in decoded else _api_tags(record) for i, record in enumerate(records))


def _api_tags(record: Record) -> list[_Tag]:
    strings = {number: getattr(record, f"tag_string_{category}") for category, number in CATEGORIES.items()}
    if not any(strings.values()):
        strings = {CATEGORIES["general"]: record.tag_string}
    return [_Tag(name, number) for number, names in strings.items() for name in (names or "").split()]
