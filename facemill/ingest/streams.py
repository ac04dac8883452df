"""JSON in files that are plain, compressed, tar archives, or compressed files inside compressed tar archives."""

import codecs
import io
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa

from facemill.data.text import decode_text
from facemill.errors import UserError, first_line

_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz"}
_LIST_BLOCK = 5_000  # records


class Block(NamedTuple):
    """Consecutive records of a metadata file."""

    source: str
    """The file; of a tar archive also, after a colon, the member."""
    first: int
    """The line of the first record, or its number in a JSON list, from 1."""
    records: bytes | list[bytes]
    """Complete lines, or the records of a list."""


def read_blocks(path: Path, size: int) -> Iterator[Block]:
    """Reads JSON lines or a JSON list in blocks of about `size` bytes, whatever they are packed in.

    The content tells gzip, zstd, bzip2, xz and tar, not the name. Lines are streamed; a list is loaded into memory.
    A file that is a single JSON object, indented as gallery-dl's sidecars are, is one record.
    Raises `UserError` when a file is damaged or no JSON.
    """
    try:
        with path.open("rb") as file:
            for source, stream in _unpack(str(path), file):
                stream = _as_utf8(source, stream)
                is_list = stream.peek(512).lstrip()[:1] == b"["
                yield from _list(source, stream) if is_list else _lines(source, stream, size)
    except (OSError, EOFError, lzma.LZMAError, zlib.error, tarfile.TarError, pa.ArrowException) as error:
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
    elif head[257:262] == b"ustar":
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                if content := tar.extractfile(member):
                    yield from _unpack(f"{name}:{member.name}", content)
    elif head.lstrip()[:1] == b"<":
        raise UserError(f"{name}: XML or HTML; accepted: JSON lines or a JSON list")
    else:
        yield name, stream


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


def _lines(source: str, stream: io.BufferedReader, size: int) -> Iterator[Block]:
    first, rest = 1, b""
    while block := stream.read(size):
        if first == 1 and len(block) < size and _is_object(block):
            yield Block(source, 1, [block])
            return
        cut = block.rfind(b"\n") + 1
        if cut:
            yield Block(source, first, rest + block[:cut])
            first += block.count(b"\n", 0, cut)
            rest = block[cut:]
        else:
            rest += block
    if rest:
        yield Block(source, first, rest)


def _is_object(content: bytes) -> bool:
    """Whether the content is one JSON value of several lines."""
    try:
        return b"\n" in content.strip() and bool(msgspec.json.decode(content, type=msgspec.Raw))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _list(source: str, stream: io.BufferedReader) -> Iterator[Block]:
    try:
        records = msgspec.json.decode(stream.read(), type=list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError) as error:
        raise UserError(f"{source}: not a complete JSON list ({error}); accepted: JSON lines or a JSON list") from error
    for start in range(0, len(records), _LIST_BLOCK):
        yield Block(source, start + 1, [bytes(record) for record in records[start : start + _LIST_BLOCK]])
