"""Atomic writes, and hashes of inputs."""

import errno
import hashlib
import json
import math
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from facemill.errors import UserError

_given: Counter[Path] = Counter()
"""How many options of the command line name a path: one that is written and named by another option is read, too."""


def given_paths(value: Any) -> Any:
    """The value of an option: of paths, `~` as the user's home, and noted, so that no output replaces an input."""
    match value:
        case Path():
            expanded = expand_home(value)
            _given[expanded.resolve()] += 1
            return expanded
        case list():
            return [given_paths(item) for item in value]
        case _:
            return value


def expand_home(path: Path) -> Path:
    """A path with `~` as the user's home; with the home of a user who is not there, as it is."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  (pathlib raises RuntimeError)


def _check_not_read(path: Path, inside: bool = False) -> None:
    real = path.resolve()
    for given, count in _given.items():
        if (given == real and count > 1) or (inside and real in given.parents):
            raise UserError(f"{path}: would replace {given}, which another option names; accepted: another path")


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yields a temporary path in the same folder; renames it to `path` when the block succeeds, removes it otherwise.

    A process killed in the block leaves only the temporary file, which the next writer replaces. Raises `UserError`
    where another option of the command line names the path.
    """
    _check_not_read(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    tmp = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        yield tmp
        tmp.replace(path)
    except Exception as error:
        error.output = path  # type: ignore[attr-defined]  # a full disk does not name the file
        if not isinstance(error, OSError | UserError) and not shutil.disk_usage(path.parent).free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise
    finally:
        with suppress(OSError):  # the disk's error was raised above
            tmp.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yields a temporary folder to fill; it replaces `path` when the block succeeds.

    Raises `UserError` where another option of the command line names the folder, or what lies in it.
    """
    _check_not_read(path, inside=True)
    tmp = path.with_name(f".{path.name}.part")
    shutil.rmtree(tmp, ignore_errors=True)
    tmp.mkdir(parents=True)
    yield tmp
    shutil.rmtree(path, ignore_errors=True)
    tmp.rename(path)


def write_json(path: Path, content: Any) -> None:
    """Writes `content` as indented JSON, keys in the order given, numbers as they are.

    NaN and infinity, which JSON does not have (RFC 8259, section 6), become null: not measured.
    """
    with atomic_write(path) as tmp:
        tmp.write_text(json.dumps(_finite(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _finite(content: Any) -> Any:
    match content:
        case float():
            return content if math.isfinite(content) else None
        case dict():
            return {key: _finite(value) for key, value in content.items()}
        case list() | tuple():
            return [_finite(value) for value in content]
    return content


def sha256(path: Path) -> str:
    """The SHA-256 of a file's contents, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(settings: Any, inputs: Iterable[Path]) -> str:
    """The first 16 hex digits of a SHA-256 over settings (as JSON) and the contents of the input files."""
    total = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for path in inputs:
        total.update(bytes.fromhex(sha256(path)))
    return total.hexdigest()[:16]


def check_writable(folder: Path) -> None:
    """Raises `UserError` when a folder, or a folder up to two levels below it, may not be written.

    For a folder that does not exist yet its parent is checked.
    """
    for path in (folder if folder.exists() else folder.parent, *folder.glob("*/"), *folder.glob("*/*/")):
        if path.is_dir() and not os.access(path, os.W_OK):
            raise UserError(f"{path}: may not be written; accepted: a folder where results can be made")
