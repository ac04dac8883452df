"""The descriptor `shape` of a part: its silhouette, the gray values inside, its proportions."""

import cv2
import numpy as np

GRID = 24
"""Cells on a side of the square in which a part is described."""

GEOMETRY = 5
"""Numbers on a part's proportions: see `geometry`."""

DIMENSIONS = 2 * GRID * GRID + GEOMETRY

SILHOUETTE = slice(0, GRID * GRID)
GRAY = slice(GRID * GRID, 2 * GRID * GRID)
PROPORTIONS = slice(2 * GRID * GRID, DIMENSIONS)
BLOCKS = (SILHOUETTE, GRAY, PROPORTIONS)
"""The three blocks of a descriptor, which a distance weighs."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, in pixels."""


def describe(looks: np.ndarray, proportions: np.ndarray) -> np.ndarray:
    """The descriptor of a part, the mean over its looks: float32 (DIMENSIONS,).

    Args:
        looks: float32 (looks * GRID, GRID, 2), one below the other: how much of each cell is the part, from 0 to 1,
            and its gray value, from 0 to 255.
        proportions: float32 (GEOMETRY,).
    """
    cells = looks.reshape(-1, GRID * GRID, 2)
    gray = cells[..., 1] - cells[..., 1].mean(1, keepdims=True)
    gray /= np.maximum(gray.std(1, keepdims=True), 1)  # below a gray level all is noise
    return np.concatenate([cells[..., 0].mean(0), gray.mean(0), proportions]).astype(np.float32)


def geometry(box: Box, filled: float, face: Box) -> np.ndarray:
    """Log width / height, log width and log height over the face's width, fill, height of the middle on the face.

    Args:
        box: of the part.
        filled: pixels of the part.
        face: box of the face.
    """
    width, height = box[2] - box[0], box[3] - box[1]
    face_width, face_height = face[2] - face[0], face[3] - face[1]
    middle = ((box[1] + box[3]) / 2 - face[1]) / face_height
    logs = np.log([width / height, width / face_width, height / face_width])
    return np.array([*logs, filled / (width * height), middle], np.float32)


def mirrored(descriptors: np.ndarray) -> np.ndarray:
    """The descriptors of the mirror images: float32 (N, DIMENSIONS)."""
    grids = descriptors[:, : PROPORTIONS.start].reshape(-1, 2, GRID, GRID)[..., ::-1]
    return np.concatenate([grids.reshape(len(descriptors), -1), descriptors[:, PROPORTIONS]], 1)


def shrink(looks: np.ndarray) -> np.ndarray:
    """Looks of twice `GRID` pixels on a side, one below the other, as cells' means."""
    return cv2.resize(looks, (GRID, len(looks) // 2), interpolation=cv2.INTER_AREA)
