"""Frames of a film with other faces: drawn and put in beside each other, in batches."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa

from facemill.data.batching import batched, map_ahead
from facemill.data.film import Frame
from facemill.data.synthetic import draw_mark
from facemill.swap.color_transfer import Transfer
from facemill.swap.converter import Converter, Drawn
from facemill.swap.faces import NO_FACE, Face
from facemill.swap.frame_faces import Shot

TABLE_SCHEMA = pa.schema(
    [
        ("frame", pa.int32()),
        ("pts", pa.int64()),
        ("time", pa.float64()),
        ("faces", pa.int32()),
        ("scale", pa.float32()),
        ("reason", pa.string()),
    ]
)
"""A row a frame: the number of `faces` that were replaced, the frame's pixels for one that the network drew (`scale`;
null without a face), and the `reason` why there was none."""

Prepared = list[tuple[Shot, list[Face], list[Drawn]]]


class FilmConversion:
    """Converts the frames of a film, in their order.

    Attributes:
        rows: of `TABLE_SCHEMA`, of all frames so far.

    Args:
        converter: new, for this film.
        reasons: why frames have no face, by their numbers.
        marks: whether the word "synthetic" is drawn into each frame.
    """

    def __init__(self, converter: Converter, reasons: Mapping[int, str], *, marks: bool) -> None:
        self.converter, self.rows = converter, list[dict[str, Any]]()
        self._reasons, self._marks, self._told = reasons, marks, 0

    def convert(self, items: Iterable[Shot]) -> Iterator[tuple[Frame, np.ndarray]]:
        """Yields frames and their pixels with other faces, uint8 RGB; those without a face as they are."""
        with ThreadPoolExecutor(1, "draw") as drawing, ThreadPoolExecutor(1, "compose") as composing:
            drawn = map_ahead(drawing, self._draw, batched(items, self.converter.batch), ahead=1)
            for frames in map_ahead(composing, self._compose, drawn, ahead=1):
                yield from frames

    def state(self) -> dict[str, Any]:
        """What smooths the colors of the next frames, and the rows since the last call."""
        told, self._told = self._told, len(self.rows)
        transfers = {
            str(track): [values.tolist() for values in transfer] for track, transfer in self.converter.transfers.items()
        }
        return {"transfers": transfers, "rows": self.rows[told:]}

    def resume(self, state: dict[str, Any]) -> None:
        """Resumes behind the frames that `state` told about."""
        self.converter.transfers = {
            int(track): Transfer(*(np.array(values, np.float32) for values in transfer))
            for track, transfer in state["transfers"].items()
        }
        self.rows += state["rows"]
        self._told = len(self.rows)

    def counts(self, what: str = "frames") -> str:
        """How many frames, or photos, were converted, and why others were not."""
        why = Counter(row["reason"] for row in self.rows if row["reason"])
        converted = sum(row["faces"] > 0 for row in self.rows)
        others = "".join(f", {count} unchanged ({reason})" for reason, count in why.most_common())
        return f"{len(self.rows)} {what}, {converted} of them converted{others}"

    def _draw(self, batch: list[Shot]) -> Prepared:
        faces = [shot.faces() for shot in batch]
        pixels = [shot.frame.pixels for shot, several in zip(batch, faces, strict=True) for _ in several]
        drawn = iter(self.converter.draw(pixels, [face for several in faces for face in several]))
        return [(shot, several, [next(drawn) for _ in several]) for shot, several in zip(batch, faces, strict=True)]

    def _compose(self, batch: Prepared) -> list[tuple[Frame, np.ndarray]]:
        """The frames' pixels, uint8 RGB; further faces of a frame are put in after the first one."""
        composed = []
        for (frame, _), faces, drawn in batch:
            pixels = frame.pixels
            for face, one in zip(faces, drawn, strict=True):
                pixels = self.converter.compose(pixels, face, one).pixels
            composed.append((frame, draw_mark(pixels) if self._marks else pixels))
            self.rows.append(self._row(frame, faces))
        return composed

    def _row(self, frame: Frame, faces: list[Face]) -> dict[str, Any]:
        scales = [self.converter.scale(face) for face in faces]
        return {
            "frame": frame.number,
            "pts": frame.pts,
            "time": frame.time,
            "faces": len(faces),
            "scale": max(scales, default=None),
            "reason": None if faces else self._reasons.get(frame.number, NO_FACE),
        }
