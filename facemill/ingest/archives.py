"""The bytes of images in files and in archives, which are read in place."""

import functools
import lzma
import zipfile
import zlib

from facemill.data.names import printed_path
from facemill.errors import UserError, first_line

MAX_BYTES = 256 << 20
"""The largest image file: a guard against archives that inflate without end."""


@functools.lru_cache(maxsize=8)
def open_zip(archive: str) -> zipfile.ZipFile:
    """A zip archive, opened once in a process. Raises `UserError` when it cannot be read."""
    try:
        return zipfile.ZipFile(archive)
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise UserError(f"source.images: {archive}: not a readable zip archive ({first_line(error)})") from error


def read_image(path: str, offset: int | None = None, length: int | None = None) -> bytes:
    """The bytes of an image.

    Args:
        path: an image file, `zip://member::archive` or `tar://member::archive`, as `list_images` gives them.
        offset: of the image in a tar archive, in bytes.
        length: of the image in a tar archive, in bytes.

    Raises:
        ValueError: The image cannot be read; the message is the reason.
    """
    try:
        if path.startswith("zip://"):
            member, archive = path.removeprefix("zip://").rsplit("::", 1)
            content = open_zip(str(printed_path(archive))).read(member)
        elif offset is not None:
            with printed_path(path.rsplit("::", 1)[1]).open("rb") as file:
                file.seek(offset)
                content = file.read(length)
            if len(content) != length:
                raise ValueError("the archive is truncated")
        else:
            file_path = printed_path(path)
            size = file_path.stat().st_size
            if size > MAX_BYTES:
                raise ValueError(f"{size} bytes; accepted: up to {MAX_BYTES}")
            content = file_path.read_bytes()
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from error
    except (KeyError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError) as error:
        raise ValueError(f"damaged archive ({first_line(error)})") from error
    if not content:
        raise ValueError("an empty file")
    return content
