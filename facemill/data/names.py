"""Names of files as ids and keys, whatever system wrote them, and ids as names of files on any system."""

import hashlib
import os
import re
import unicodedata
from pathlib import Path
from urllib.parse import unquote

_ESCAPE = r"x[89a-f][0-9a-f]"
_SECOND_BYTE = rf"(?<=\\{_ESCAPE})\\"  # of letters such as 表 in Shift-JIS, GBK and Big5, not a separator
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
_MAX_BYTES = 200
_FURTHER = re.compile(r"(?<=.)(?:#(?:[2-9]|[1-9][0-9]+))+\Z", re.DOTALL)


def image_of(row_id: str) -> str:
    """The id of a portrait's image: further portraits of one image have its id and `#2`, `#3` ...

    `#1` and `#01` are none of these: they belong to names of files. Files called `a#2` count as further portraits of
    `a`, and so do those of `a#2` itself, such as `a#2#3`: no division may come between an image and its portraits.
    """
    return _FURTHER.sub("", row_id)


def printable(name: str) -> str:
    r"""A name or path whose bytes that are not UTF-8, as of Shift-JIS names, are spelled `\x8a`."""
    return os.fsencode(name).decode(errors="backslashreplace")


def printed_path(path: str) -> Path:
    """The file that `printable` spells."""
    if "\\" not in path or os.path.lexists(path):
        return Path(path)
    raw = re.sub(rb"\\(%b)" % _ESCAPE.encode(), lambda match: bytes.fromhex(match[1][1:].decode()), os.fsencode(path))
    return Path(os.fsdecode(raw))


def as_key(name: str) -> str:
    """A name or path as an id, equal for all spellings: NFC, slashes, no leading `./`, printable.

    A Mac's file system stores decomposed letters (NFD), where others store composed ones (NFC):
    https://unicode.org/reports/tr15/
    """
    escaped = re.sub(rf"{_SECOND_BYTE}(?!{_ESCAPE}|x5c)", r"\\x5c", printable(name))
    slashes = re.sub(rf"\\(?!{_ESCAPE})(?!(?<=\\{_ESCAPE}\\)x5c)", "/", escaped)
    return unicodedata.normalize("NFC", re.sub(r"^(\./)+", "", slashes))


def as_file_name(row_id: str) -> str:
    """An id as a file's stem that every system accepts, in one folder: `a/cat.png` becomes `a%2Fcat.png`.

    Slashes, characters and names that Windows refuses, and what hides a file are percent-encoded; a name above 200
    bytes ends in a hash instead.
    """
    unsafe = r'[\x00-\x1f\x7f/\\<>:"|?*]|^[. ]|[. ]$|%(?=[0-9A-Fa-f]{2})'
    name = re.sub(unsafe, lambda match: f"%{ord(match[0]):02X}", row_id)
    if _RESERVED.match(name):
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if len(name.encode()) <= _MAX_BYTES:
        return name
    start = name.replace("%", "_").encode()[: _MAX_BYTES - 17].decode(errors="ignore")
    return f"{start}-{hashlib.sha256(row_id.encode()).hexdigest()[:16]}"


def id_of_file(stem: str) -> str:
    """The id of a labelled portrait by its file's stem: of a name that `as_file_name` wrote the id it was made of."""
    name = as_key(stem)
    row_id = unquote(name)
    return row_id if as_file_name(row_id) == name else name
