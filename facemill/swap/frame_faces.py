"""Frames with their faces, as a table has them."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from facemill.data.film import Frame
from facemill.data.shards import decode_image, read_rows
from facemill.errors import UserError
from facemill.swap.alignment import crop, crop_side, paste_box
from facemill.swap.faces import FACES_SCHEMA, Face, face_of, read_rows_of

SAME = 10
"""Of 255: by less than this a face's crop in the table differs, on average, from its place in the film."""

_COMPARED = 32  # pixels of a crop's side at which that is seen


class Shot(NamedTuple):
    """A frame with its usable faces."""

    frame: Frame
    rows: list[dict]
    """Of the table of faces."""

    def faces(self) -> list[Face]:
        """The faces, decoded."""
        return [face_of(row) for row in self.rows]


def shots(source: Iterable[Frame], table: Path, film: Path, *, to_end: bool) -> Iterator[Shot]:
    """Yields frames of a film, or of a part of it, with their rows of a table of faces.

    Args:
        source: the frames.
        table: `faces.parquet`.
        film: named in messages.
        to_end: whether the frames go to the film's end.

    Raises:
        UserError: It is no table of faces, or that of another film: times, pictures or the number of frames differ.
    """
    rows = _usable(table)
    row = next(rows, None)
    for frame in source:
        faces = []
        while row and row["frame"] <= frame.number:
            if row["frame"] == frame.number:
                faces.append(row)
            row = next(rows, None)
        for face in faces:
            _check_film(face, frame, table, film)
        yield Shot(frame, faces)
    if row and to_end:
        raise _other_film(table, film, f"a face in frame {row['frame']}, after the film's last one")


def reasons(table: Path) -> dict[int, str]:
    """Why frames have no usable face, by their numbers, as `frames.parquet` beside a table says; empty without one."""
    beside = table.with_name("frames.parquet")
    rows = read_rows([beside], ["frame", "reason"]) if beside.exists() else iter(())
    return {row["frame"]: row["reason"] for row in rows if row["reason"]}


def _usable(table: Path) -> Iterator[dict]:
    last = 0
    for row in read_rows_of(table, FACES_SCHEMA.names):
        if row["frame"] < last:
            raise UserError(f"{table}: frame {row['frame']} after {last}; accepted: faces in the order of their frames")
        last = row["frame"]
        if not row["rejected"]:
            yield row


def _check_film(row: dict, frame: Frame, table: Path, film: Path) -> None:
    """Raises `UserError` when a face is not of this frame, by its time and its picture; a photo's time says nothing."""
    if abs(row["time"] - frame.time) > 1e-4:
        raise _other_film(table, film, f"frame {frame.number} at {row['time']:.3f} s, which is at {frame.time:.3f} s")
    there = _small_crop(frame.pixels, np.reshape(row["matrix"], (2, 3)))
    image = cv2.resize(decode_image(row["image"]["bytes"]), there.shape[:2], interpolation=cv2.INTER_AREA)
    if np.abs(there.astype(int) - image).mean() >= SAME:
        raise _other_film(table, film, f"another picture of frame {frame.number}")


def _small_crop(pixels: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Nearly what `crop` gives at the size at which crops are compared, but of a frame that is shrunk first: faster."""
    height, width = pixels.shape[:2]
    x0, y0, x1, y1 = paste_box(matrix, width, height) or (0, 0, width, height)
    scale = min(1, 2 * _COMPARED / crop_side(matrix))
    sides = np.array([x1 - x0, y1 - y0])
    small = np.maximum(np.rint(scale * sides), 1).astype(int)
    shrunk = cv2.resize(pixels[y0:y1, x0:x1], small.tolist(), interpolation=cv2.INTER_AREA)
    to_frame = np.column_stack([np.diag(sides / small), sides / small / 2 - 0.5 + (x0, y0)])
    return crop(shrunk, matrix @ np.vstack([to_frame, (0, 0, 1)]), _COMPARED)


def _other_film(table: Path, film: Path, fault: str) -> UserError:
    return UserError(f"{table}: has {fault}; accepted: the table of {film}, from extract_faces")
