"""Films that are made piece by piece under `work/`: one that was killed resumes where it was, to the same bytes."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from itertools import chain, islice, repeat, takewhile
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from facemill.data.batching import map_ahead
from facemill.data.film import FilmWriter, Frame
from facemill.files import digest, write_json
from facemill.log import log

PIECE = 500
"""Frames of a piece; it begins with a key frame."""

T = TypeVar("T")
Item = TypeVar("Item", contravariant=True)


class Conversion(Protocol[Item]):
    """What makes the frames of a film, in their order, and what it must know of those before."""

    def convert(self, items: Iterable[Item]) -> Iterator[tuple[Frame, np.ndarray]]:
        """Yields each frame's time and its new pixels, uint8 RGB (H, W, 3)."""

    def state(self) -> dict[str, Any]:
        """All that the next frames depend on, and what is told about those of the last piece, for JSON."""

    def resume(self, state: dict[str, Any]) -> None:
        """Resumes behind the piece that ended in this state."""


def work_folder(name: str, key: dict[str, Any], inputs: Sequence[Path]) -> Path:
    """A folder in `work/` for what depends on settings and on the contents of inputs, and in rules on the code.

    Its digest is in the environment variable FACEMILL_CODE, as for `Run`; a command that is typed has none, and takes
    up what other code has left.
    """
    code = os.environ.get("FACEMILL_CODE", "")[:8]
    prefix = f"{name}-{digest(key, inputs)}"
    return Path("work") / (f"{prefix}-{code}" if code else prefix)


def remove_empty(folder: Path) -> None:
    """Removes a folder of `work_folder`, and `work/`, where nothing is in them."""
    with suppress(OSError):
        folder.rmdir()
        folder.parent.rmdir()


def ahead(items: Iterable[T], count: int) -> Iterator[T]:
    """Yields the items, up to `count` of which a thread of its own makes early."""
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1) as pool:
        made = map_ahead(pool, lambda _: next(iterator, end), repeat(None), count)
        yield from takewhile(lambda item: item is not end, made)


def write_pieces(
    folder: Path,
    items: Iterable[Item],
    conversion: Conversion[Item],
    *,
    rate: Fraction | None,
    begin: int = 0,
    tags: Mapping[str, str],
) -> list[Path]:
    """Writes the pieces of a film that are not there yet, and returns the paths of all.

    Args:
        folder: of the pieces, each with its state beside it.
        items: what frames are made from, those of pieces that are there, too.
        conversion: makes the frames, new at the film's beginning.
        rate: of the film, in frames a second.
        begin: presentation time that becomes 0.
        tags: written into the header of each.
    """
    iterator, pieces, resumed = iter(items), list[Path](), 0
    for first in iterator:
        piece, path = chain([first], islice(iterator, PIECE - 1)), folder / f"{len(pieces):06}.mp4"
        state = path.with_suffix(".json")
        if path.exists() and state.exists():
            conversion.resume(json.loads(state.read_text()))
            resumed += sum(1 for _ in piece)
        else:
            if resumed:
                log.info("%s: resumes after %d frames", folder, resumed)
                resumed = 0
            with FilmWriter(path, rate=rate, tags=tags) as film:
                for frame, pixels in conversion.convert(piece):
                    film.write(pixels, replace(frame, pts=frame.pts - begin))
            write_json(state, conversion.state())
        pieces.append(path)
    return pieces
