"""The list of a collection's images: in folders of any depth, and in zip and tar archives."""

import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import polars as pl

from facemill.data.names import as_key, printable
from facemill.data.walk import IMAGE_SUFFIXES, Walk
from facemill.errors import UserError, first_line
from facemill.ingest import archives
from facemill.ingest.archives import open_zip

_COLUMNS = {"id": pl.String, "path": pl.String, "offset": pl.Int64, "length": pl.Int64}
_Entry = tuple[str, str, int | None, int | None]  # name within the root, path, offset, length
_Reject = Callable[[str, str], None]


def list_images(roots: list[Path], reject: _Reject, follow_links: bool = False) -> pl.DataFrame:
    """The images of folders and archives, sorted by path.

    Args:
        roots: folders and archives.
        reject: called with path and reason of each file that cannot be used: links and members that point outside
            their root, members that are encrypted or too large. What is left out by its name is counted in the log.
        follow_links: whether symbolic links are followed, also to outside their root.

    Returns:
        A table of `id` (the name without its suffix; repeats are possible), `path`, `offset` and `length` (in bytes, of
        members of tar archives) and `name` (the path within its root).

    Raises:
        UserError: A root is neither folder nor archive, or there is no image.
    """

    def reject_printed(path: str, reason: str) -> None:
        reject(printable(path), printable(reason))

    walk = Walk(IMAGE_SUFFIXES, follow_links)
    entries = [
        (as_key(name), printable(path), offset, length)
        for root in roots
        for name, path, offset, length in _entries(root, walk, reject_printed)
    ]
    for path, reason in walk.faults:
        reject_printed(path, reason)
    walk.faults.clear()
    walk.report("source.images")
    if not entries:
        accepted = ", ".join(sorted(IMAGE_SUFFIXES))
        raise UserError(f"source.images: no image under {', '.join(map(repr, map(str, roots)))}; accepted: {accepted}")
    table = pl.DataFrame(
        entries, {"name": pl.String, "path": pl.String, "offset": pl.Int64, "length": pl.Int64}, orient="row"
    )
    stem = pl.col("name").str.replace(r"^.*/", "").str.replace(r"\.[^.]*$", "")
    row_id = pl.when(stem == "").then("name").otherwise(stem)  # `folder\\.png`, as an old zip may spell a letter
    return table.sort("path").with_columns(id=row_id).select(*_COLUMNS, "name")


def without_repeats(images: pl.DataFrame, reject: _Reject) -> pl.DataFrame:
    """The images whose id no earlier image has; `reject` is called with path and reason of each other image."""
    images = images.with_columns(first=pl.col("path").first().over("id"))
    repeats = pl.col("path") != pl.col("first")
    for path, first in images.filter(repeats).select("path", "first").iter_rows():
        reject(path, f"{first} has the same id")
    return images.filter(~repeats).drop("first")


def _entries(root: Path, walk: Walk, reject: _Reject) -> Iterator[_Entry]:
    if not root.exists():
        raise UserError(f"source.images: {str(root)!r}: no such folder or archive")
    if root.is_dir():
        for file in walk.once(walk.files(root)):
            yield file.name, file.path, None, None
    elif zipfile.is_zipfile(root):
        yield from _wanted(_walk_zip(root, reject), root, walk)
    elif root.is_file() and tarfile.is_tarfile(root):
        with root.open("rb") as archive:
            if archive.read(6).startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")):
                raise UserError(f"source.images: {str(root)!r} is a compressed tar; accepted: a plain tar, or zip")
        yield from _wanted(_walk_tar(root, reject), root, walk)
    else:
        raise UserError(f"source.images: {str(root)!r} is no folder, zip or tar archive that can be read")


def _wanted(members: Iterator[_Entry], archive: Path, walk: Walk) -> Iterator[_Entry]:
    """Yields the members of an archive whose names are those of images; `walk` counts the others."""
    if walk.is_new(archive):
        yield from (member for member in members if walk.takes(member[0]))


def _is_outside(member: str) -> bool:
    return member.startswith(("/", "\\")) or ".." in PurePosixPath(member.replace("\\", "/")).parts


def _walk_zip(archive: Path, reject: _Reject) -> Iterator[_Entry]:
    for member in open_zip(str(archive)).infolist():
        name, path = member.filename, f"zip://{member.filename}::{archive}"
        if member.is_dir():
            continue
        if stat.S_ISLNK(member.external_attr >> 16):
            reject(path, "a link, not a file")
        elif _is_outside(name):
            reject(path, "a member that points outside the archive")
        elif member.flag_bits & 1:
            reject(path, "an encrypted member")
        elif member.file_size > archives.MAX_BYTES:
            reject(path, f"{member.file_size} bytes when unpacked; accepted: up to {archives.MAX_BYTES}")
        else:
            yield name, path, None, None


def _walk_tar(archive: Path, reject: _Reject) -> Iterator[_Entry]:
    try:
        with tarfile.open(archive, "r:") as tar:
            for member in tar:
                tar.members = []  # type: ignore[attr-defined]  # tarfile would hold all of them in memory
                name, path = member.name, f"tar://{member.name}::{archive}"
                if member.isdir():
                    continue
                if member.issym() or member.islnk():
                    reject(path, "a link, not a file")
                elif not member.isreg() or member.issparse():
                    reject(path, "not a plain file")
                elif _is_outside(name):
                    reject(path, "a member that points outside the archive")
                elif member.size > archives.MAX_BYTES:
                    reject(path, f"{member.size} bytes; accepted: up to {archives.MAX_BYTES}")
                else:
                    yield name, path, member.offset_data, member.size
            if tar.offset > archive.stat().st_size:
                reject(str(archive), "the archive is truncated")
    except tarfile.ReadError as error:
        reject(str(archive), f"the archive is damaged ({first_line(error)})")
