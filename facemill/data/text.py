"""Text files from other systems: the encoding by the first bytes."""

import codecs
from pathlib import Path

_BYTE_ORDER_MARKS = {  # UTF-32 first, whose mark begins with UTF-16's
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


def decode_text(content: bytes) -> str:
    """The text of a file: UTF-8, or UTF-16 and UTF-32 by their byte order mark, which is left out; UTF-16 without, too.

    Older encodings (GBK, Shift-JIS, Latin-1) decode each other's files into wrong letters, and are therefore refused.

    Raises:
        ValueError: The content is none of these; the message is the reason.
    """
    mark = next((mark for mark in _BYTE_ORDER_MARKS if content.startswith(mark)), b"")
    if mark:
        encoding = _BYTE_ORDER_MARKS[mark]
    else:  # text holds no zeros, and its first letter is nearly always one of ASCII
        encoding = {0: "utf-16-be", 1: "utf-16-le"}.get(content[:2].find(b"\0"), "utf-8")
    content = content[len(mark) :]
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        place = f"byte 0x{content[error.start]:02x} at {error.start}"
        raise ValueError(f"not {encoding.upper()} ({place}); accepted: a text file saved as UTF-8") from error
    if "\0" in text:
        raise ValueError("holds zeros; accepted: a text file saved as UTF-8")
    return text


def read_text(path: Path) -> str:
    """The text of a file, as `decode_text` reads it.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no text; the message is the reason.
    """
    return decode_text(path.read_bytes())
