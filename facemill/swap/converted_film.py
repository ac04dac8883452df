"""Films with other faces, with the times and the sound that they have."""

import math
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from facemill.config.swap import Blend, Color
from facemill.data.film import Frame, about, frames
from facemill.data.film_joining import join_films
from facemill.data.shards import write_shard
from facemill.data.synthetic import Mark, film_tags, hashes, write_claim
from facemill.errors import UserError
from facemill.log import log
from facemill.networks.face_swap import FaceSwap, Side
from facemill.networks.store import load_model
from facemill.swap.conversion import TABLE_SCHEMA, FilmConversion
from facemill.swap.converter import Converter
from facemill.swap.faces import read_rows_of
from facemill.swap.film_pieces import PIECE, ahead, remove_empty, work_folder, write_pieces
from facemill.swap.frame_faces import reasons, shots


@dataclass(frozen=True)
class Swap:
    """What draws a face, and how it is put into pictures."""

    model: Path
    """The network's safetensors file."""
    network: FaceSwap
    side: Side
    """Whose face is drawn."""
    color: Color = "lab"
    blend: Blend = "alpha"
    feather: float = 0.06
    marks: bool = True
    """Whether the word "synthetic" is drawn into the result."""

    @classmethod
    def load(cls, model: Path, side: Side, **settings: Any) -> "Swap":
        """The swap of a model: a safetensors file, or the folder that holds it. Raises `UserError` as `load_model`."""
        weights = model / "model.safetensors" if model.is_dir() else model
        return cls(weights, load_model(FaceSwap, model), side, **settings)

    def converter(self) -> Converter:
        """A converter of one film."""
        return Converter(self.network, self.side, color=self.color, blend=self.blend, feather=self.feather)

    def mark(self, *pictures: Path) -> Mark:
        """The mark of what is made of pictures or of a film."""
        return Mark("compositeWithTrainedAlgorithmicMedia", self._models, hashes(pictures))

    @cached_property
    def _models(self) -> dict[str, str]:
        return hashes([self.model])


def convert_film(
    swap: Swap, film: Path, faces: Path, out: Path, *, start: float | None, end: float | None, table: Path | None
) -> None:
    """Writes a film, or a part of it, with other faces, and what C2PA would sign beside it.

    It is made in pieces under `work/`, with which a killed conversion resumes.

    Args:
        swap: what draws the faces.
        film: the film.
        faces: the table of its faces.
        out: the film to write, `.mp4`.
        start: seconds from which on frames are converted; None for the beginning.
        end: seconds before which frames are converted; None for the end.
        table: Parquet to write, of `TABLE_SCHEMA`.

    Raises:
        UserError: The table is another film's, or no frame has a usable face.
    """
    check_has_face(faces, film, start, end)
    key = {"side": swap.side, "color": swap.color, "blend": swap.blend, "feather": swap.feather, "marks": swap.marks}
    folder = work_folder("convert", key | {"start": start, "end": end, "piece": PIECE}, [film, swap.model, faces])
    conversion = FilmConversion(swap.converter(), reasons(faces), marks=swap.marks)
    chosen = _in_span(frames(film), start, end)
    if (first := next(chosen, None)) is None:
        raise UserError(f"--start {start}, --end {end}: {film} has no frame between them")
    begin = 0 if start is None else first.pts
    items = shots(ahead(chain([first], chosen), conversion.converter.batch), faces, film, to_end=end is None)
    mark = swap.mark(film)
    tags = film_tags(mark)
    try:
        pieces = write_pieces(folder, items, conversion, rate=about(film).rate, begin=begin, tags=tags)
    finally:
        remove_empty(folder)
    span = begin * first.time_base, None if end is None else Fraction(end)
    join_films(out, pieces, like=film, span=span, tags=tags)
    write_claim(out, mark)
    if table:
        write_shard(table, conversion.rows, TABLE_SCHEMA)
    shutil.rmtree(folder)
    log.info("convert_faces: %s, in %s", conversion.counts(), out)


def check_has_face(faces: Path, source: Path, start: float | None = None, end: float | None = None) -> None:
    """Raises `UserError` when a table has no usable face of a film or of photos, or none in a part of a film."""
    rows = read_rows_of(faces, ["time", "rejected"])
    if not any(not row["rejected"] and (start or 0) <= row["time"] < (end or math.inf) for row in rows):
        part = "" if start is None and end is None else f" between --start {start or 0:g} and --end {end or 'its end'}"
        raise UserError(f"{source}: no usable face{part}; accepted: pictures of the face that is replaced")


def _in_span(source: Iterable[Frame], start: float | None, end: float | None) -> Iterator[Frame]:
    """Yields the frames from `start` on and before `end`, in seconds."""
    for frame in source:
        if end is not None and frame.time >= end:
            return
        if start is None or frame.time >= start:
            yield frame
