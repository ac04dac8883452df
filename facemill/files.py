"""Outputs that appear whole or not at all, and hashes of inputs."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yields a path beside `path` to write to; moves it to `path` when the block ends well, removes it otherwise.

    A process killed in the block leaves only the file beside, which the next writer replaces.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        yield beside
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yields a new folder beside `path` to fill; puts it in the place of `path` when the block ends well."""
    beside = path.with_name(f".{path.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    yield beside
    shutil.rmtree(path, ignore_errors=True)
    beside.rename(path)


def write_json(path: Path, content: Any) -> None:
    """Writes `content` as indented JSON, keys in the order given, numbers as they are."""
    with whole(path) as beside:
        beside.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def digest(settings: Any, inputs: Iterable[Path]) -> str:
    """The first 16 hex digits of a SHA-256 over settings (as JSON) and the contents of the input files."""
    total = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for path in inputs:
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()[:16]
