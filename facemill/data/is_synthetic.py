"""Whether pictures and films bear the mark of synthetic ones."""

from pathlib import Path

from facemill.data.synthetic import Mark, read_mark, readable
from facemill.errors import UserError, first_names


def is_synthetic(files: list[Path]) -> None:
    """Prints what the mark of each picture or film says: its source type, the software, models and ingredients.

    A file without a mark is not proven to be real: marks can be removed, and other software writes none.

    Args:
        files: pictures and films.

    Raises:
        UserError: A file has no mark, once all are printed; or one cannot be read.
    """
    without = []
    for path in files:
        if (mark := read_mark(path)) is None:
            without.append(path)
        print(f"{readable(str(path))}: {_in_words(mark) if mark else 'no mark'}", flush=True)
    if without:
        raise UserError(f"{len(without)} of {len(files)} files without a mark: {first_names(without)}")


def _in_words(mark: Mark) -> str:
    """A mark in one line."""
    words = [f"{mark.source_type} by {mark.software or 'unnamed software'}"]
    for kind, hashes in (("models", mark.models), ("from", mark.ingredients)):
        if hashes:
            words.append(f"{kind} {', '.join(f'{name} (SHA-256 {value})' for name, value in hashes.items())}")
    return "; ".join(words)
