"""Tables of faces: a row a face, with its place in the frame, its crop and mask; and of frames, a row each."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa

from facemill.data.classes import SEVEN
from facemill.data.shards import IMAGE, decode_image, decode_mask, encode_mask, open_shard, read_rows, rows_at
from facemill.errors import UserError, first_line

FACE = SEVEN.role_ids("face", "eye", "mouth")
"""Ids of the classes that are exchanged."""

BY_HAND, NO_FACE = "by hand", "no face"
"""Why a face is not used that a culling page rejected; why a frame without any has none."""

FACES_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        *((name, pa.int32()) for name in ("frame", "face", "track")),
        ("pts", pa.int64()),
        ("time", pa.float64()),
        ("box", pa.list_(pa.float32())),
        ("points", pa.list_(pa.float32())),
        ("matrix", pa.list_(pa.float64())),
        *((name, pa.float32()) for name in ("confidence", "sharpness", "distance", "roll")),
        ("image", IMAGE),
        ("mask", IMAGE),
        ("rejected", pa.string()),
        ("held_out", pa.bool_()),
    ]
)
"""Of `faces.parquet`."""

FRAMES_SCHEMA = pa.schema(
    [
        ("frame", pa.int32()),
        ("pts", pa.int64()),
        ("time", pa.float64()),
        ("faces", pa.int32()),
        ("reason", pa.string()),
    ]
)
"""Of `frames.parquet`: `faces` counts the usable ones; `reason` says why there is none."""


_SMOOTHED = range(-2, 3)  # the frames that `alignment.smooth` makes one of


@dataclass(frozen=True)
class Face:
    """A face in a frame. Coordinates are those of `alignment`."""

    id: str
    """`<side>-<frame>-<face>`."""
    frame: int
    face: int
    """Its number among those of the frame."""
    track: int
    """The same for the faces of one person in frames without a gap."""
    pts: int
    time: float
    """In seconds."""
    box: np.ndarray
    """Left, top, right and bottom of the face with its eyes and mouth, in pixels of the frame: float32 (4,)."""
    points: np.ndarray
    """Left eye, right eye and mouth in the frame, float32 (3, 2); smoothed over time in films."""
    matrix: np.ndarray
    """From the frame to the unit crop, float64 (2, 3)."""
    confidence: float
    """Mean probability of the face's pixels, lower where points are missing."""
    sharpness: float
    """Variance of the Laplacian of the crop's lightness, in the face."""
    distance: float
    """Of the aligned points from the mean face of the film: root mean square, in sides of the crop."""
    roll: float
    """Degrees by which the face is turned clockwise."""
    image: np.ndarray
    """The crop, uint8 RGB (S, S, 3)."""
    mask: np.ndarray
    """Ids of `SEVEN`, uint8 (S, S); `IGNORE` beyond the frame."""
    rejected: str | None = None
    """Why it is not used: null where it is."""
    held_out: bool = False
    """Whether nothing is learned from it."""


def read_faces(path: Path, *, usable: bool = True, held_out: bool | None = None, every: int = 1) -> list[Face]:
    """The faces of a table, in the order of their frames; the images of others are not decoded.

    Args:
        path: `faces.parquet`.
        usable: only those that are not rejected.
        held_out: only those that are held out; or only those that may be learned from: neither held out nor smoothed
            together with one that is; None for both.
        every: only those of every n-th frame.

    Raises:
        UserError: It is missing or damaged, or no table of faces.
    """
    marks = list(read_rows_of(path, ["frame", "track", "rejected", "held_out"]))
    near = {(row["track"], row["frame"] + away) for row in marks if row["held_out"] for away in _SMOOTHED}

    def is_wanted(row: dict) -> bool:
        """Whether a face is among those that are asked for."""
        if (usable and row["rejected"]) or row["frame"] % every:
            return False
        return held_out is None or (row["held_out"] if held_out else (row["track"], row["frame"]) not in near)

    chosen = [index for index, row in enumerate(marks) if is_wanted(row)]
    faces = [face_of(row) for row in rows_at([path], chosen, FACES_SCHEMA.names).values()]
    return sorted(faces, key=lambda face: (face.frame, face.face))


def read_rows_of(path: Path, columns: list[str]) -> Iterator[dict]:
    """Yields the rows of a table of faces with some of its columns. Raises `UserError` as `read_faces`."""
    with open_shard(path) as shard:
        missing = sorted(set(FACES_SCHEMA.names) - set(shard.schema_arrow.names))
    if missing:
        raise UserError(f"{path}: has no column {missing[0]}; accepted: a table that extract_faces wrote")
    yield from read_rows([path], columns)


def face_of(row: dict) -> Face:
    """The face that a row of the table holds. Raises `UserError`, which names it, where the row is damaged."""
    try:
        arrays: dict[str, np.ndarray] = {
            "box": np.array(row["box"], np.float32).reshape(4),
            "points": np.array(row["points"], np.float32).reshape(3, 2),
            "matrix": np.array(row["matrix"], np.float64).reshape(2, 3),
            "image": decode_image(row["image"]["bytes"]),
            "mask": decode_mask(row["mask"]["bytes"], SEVEN),
        }
    except (UserError, TypeError, ValueError, cv2.error) as error:
        raise UserError(f"face {row['id']}: {first_line(error)}; accepted: a row that extract_faces wrote") from error
    matrix = arrays["matrix"]
    if not np.isfinite(matrix).all() or not np.linalg.det(matrix[:, :2]):
        raise UserError(f"face {row['id']}: matrix {matrix.tolist()}; accepted: one that can be inverted")
    return Face(**row | arrays)


def row_of(face: Face) -> dict:
    """The row of the table that holds a face; the same face gives the same bytes."""
    encoded = cv2.imencode(".png", cv2.cvtColor(face.image, cv2.COLOR_RGB2BGR))[1].tobytes()
    name = f"{face.id}.png"
    return vars(face) | {
        "box": face.box.tolist(),
        "points": face.points.ravel().tolist(),
        "matrix": face.matrix.ravel().tolist(),
        "image": {"bytes": encoded, "path": name},
        "mask": {"bytes": encode_mask(face.mask, SEVEN), "path": name},
    }
