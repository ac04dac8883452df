"""Pictures that would fill the memory."""

import struct
import zlib
from io import BytesIO

from PIL.PngImagePlugin import putchunk


def bomb() -> bytes:
    """A PNG of a few bytes that states 40,000 x 40,000 pixels."""
    file = BytesIO()
    file.write(b"\x89PNG\r\n\x1a\n")
    putchunk(file, b"IHDR", struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0))
    putchunk(file, b"IDAT", zlib.compress(b""))
    putchunk(file, b"IEND")
    return file.getvalue()
