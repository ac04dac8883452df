"""JSON in files that are plain, compressed, zip or tar archives, or compressed files inside compressed tar archives."""

import codecs
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa

from facemill.data.text import decode_text
from facemill.data.walk import IMAGE_SUFFIXES, is_hidden
from facemill.errors import UserError, first_line

_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz"}
_DAMAGES = (
    *(OSError, EOFError, lzma.LZMAError, zlib.error, tarfile.TarError, zipfile.BadZipFile, pa.ArrowException),
    RuntimeError,  # of encrypted members
    UnicodeDecodeError,  # of names of members
)
_LIST_BLOCK = 5_000  # records
_BETWEEN = re.compile(rb"(?<=[}\]])\s*\n\s*(?=[{\[])")  # values; within one a comma stands there
_WRAPPED = re.compile(rb'\s*\{[^{\[]*"posts"\s*:\s*\[')


class Block(NamedTuple):
    """Consecutive records of a metadata file."""

    source: str
    """The file; of an archive also, after a colon, the member."""
    first: int
    """The line of the first record, or its number where records are in a list or span lines, from 1."""
    records: bytes | list[bytes]
    """Complete lines, or records in a list or of several lines; empty of an empty file."""


def read_blocks(path: Path, size: int) -> Iterator[Block]:
    """Reads JSON lines or a JSON list in blocks of about `size` bytes, whatever they are packed in.

    The content tells gzip, zstd, bzip2, xz, zip and tar, not the name. Lines are streamed; a list is loaded into
    memory, also one in an object, `{"posts": [...]}`. Objects may be indented over several lines, one after the other,
    as gallery-dl's sidecars and what `jq` prints. Raises `UserError` when a file is damaged or no JSON.
    """
    try:
        with path.open("rb", buffering=0) as file:
            for source, stream in _unpack(str(path), file):
                yield from _blocks(source, _as_utf8(source, stream), size)
    except _DAMAGES as error:
        raise UserError(f"{path}: cannot be read to its end ({first_line(error)})") from error


def _unpack(name: str, file: Any) -> Iterator[tuple[str, io.BufferedReader]]:
    """Name and content of each file that a binary stream unpacks to."""
    stream = io.BufferedReader(file, 1 << 20)
    head = stream.peek(512)
    kind = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)
    if kind == "xz":
        with lzma.open(stream) as unpacked:
            yield from _unpack(name, unpacked)
    elif kind:
        yield from _unpack(name, pa.CompressedInputStream(stream, kind))
    elif head.startswith(b"PK\3\4"):
        with zipfile.ZipFile(stream) as archive:
            files = (member for member in archive.infolist() if not member.is_dir())
            yield from _members(name, ((member.filename, archive.open(member)) for member in files))
    elif head[257:262] == b"ustar":
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            yield from _members(name, ((member.name, tar.extractfile(member)) for member in tar if member.isfile()))
    elif head.lstrip()[:1] == b"<":
        raise UserError(f"{name}: XML or HTML; accepted: JSON lines or a JSON list")
    else:
        yield name, stream


def _members(name: str, members: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, io.BufferedReader]]:
    """What the members of an archive unpack to, by their names; images and hidden files are left out."""
    is_empty = True
    for member, content in members:
        if not member.lower().endswith(IMAGE_SUFFIXES) and not any(map(is_hidden, PurePosixPath(member).parts)):
            is_empty = False
            yield from _unpack(f"{name}:{member}", content)
    if is_empty:
        raise UserError(f"{name}: no file of metadata in it; accepted: JSON lines or a JSON list")


def _as_utf8(source: str, stream: io.BufferedReader) -> io.BufferedReader:
    """A stream without its byte order mark; UTF-16, which only small files are in, is read into memory."""
    head = stream.peek(4)
    if head.startswith(codecs.BOM_UTF8):
        stream.read(len(codecs.BOM_UTF8))
    elif head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in head[:2]:
        try:
            return io.BufferedReader(io.BytesIO(decode_text(stream.read()).encode()), 1 << 20)
        except ValueError as error:
            raise UserError(f"{source}: {error}") from error
    return stream


def _blocks(source: str, stream: io.BufferedReader, size: int) -> Iterator[Block]:
    head = stream.read(size)
    if not head.strip():
        yield Block(source, 1, b"")
    elif head.lstrip()[:1] == b"[" or _WRAPPED.match(head):
        yield from _list(source, head + stream.read())
    elif _spans_lines(head):
        yield from _objects(source, _chunks(head, stream, size))
    else:
        yield from _lines(source, head, stream, size)


def _chunks(head: bytes, stream: io.BufferedReader, size: int) -> Iterator[bytes]:
    return chain([head], iter(partial(stream.read, size), b""))


def _lines(source: str, head: bytes, stream: io.BufferedReader, size: int) -> Iterator[Block]:
    first, chunk = 1, head
    while chunk:
        lines = chunk + stream.readline()
        yield Block(source, first, lines)
        first += len(line_ends(lines))
        chunk = stream.read(size)


def line_ends(text: bytes) -> list[int]:
    """The index behind each newline; of long lines faster than to count them with `bytes.count` before Python 3.13."""
    ends, end = [], 0
    while end := text.find(b"\n", end) + 1:
        ends.append(end)
    return ends


def _spans_lines(head: bytes) -> bool:
    """Whether the first value is a JSON object of several lines, and no line that is broken."""
    first = _BETWEEN.split(head.lstrip(), 1)[0].rstrip()
    try:
        return b"\n" in first and bool(msgspec.json.decode(first, type=dict[str, msgspec.Raw]))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _objects(source: str, chunks: Iterator[bytes]) -> Iterator[Block]:
    first, rest = 1, b""
    for chunk in chunks:
        *records, rest = _BETWEEN.split(rest + chunk)
        if records:
            yield Block(source, first, records)
            first += len(records)
    yield Block(source, first, [rest])


class _Wrapped(msgspec.Struct):
    posts: list[msgspec.Raw]


def _list(source: str, content: bytes) -> Iterator[Block]:
    """The records of a list, bare or as `posts` of an object, or of several such that follow each other on lines."""
    try:
        try:
            records = _listed(content)
        except msgspec.DecodeError:
            parts = _BETWEEN.split(content)
            if len(parts) == 1:
                raise
            records = [record for part in parts for record in _listed(part)]
    except (msgspec.DecodeError, RecursionError) as error:
        raise UserError(f"{source}: not a complete JSON list ({error}); accepted: JSON lines or a JSON list") from error
    for start in range(0, len(records), _LIST_BLOCK):
        yield Block(source, start + 1, [bytes(record) for record in records[start : start + _LIST_BLOCK]])


def _listed(content: bytes) -> list[msgspec.Raw]:
    page = msgspec.json.decode(content, type=list[msgspec.Raw] | _Wrapped)
    return page.posts if isinstance(page, _Wrapped) else page
