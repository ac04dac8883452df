"""The contact sheet of a film's faces: those that are used, with their points, and those that are not, and why."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from facemill.data.batching import evenly_spaced
from facemill.data.shards import decode_image
from facemill.imaging.figures import image_grid, save_picture

COLUMNS, ROWS = 8, 3
"""Of the faces that are used; each reason has a row of its own below them."""

CELL = 128
"""Pixels of a face's side."""

_COLORS = ((255, 64, 64), (64, 224, 64), (64, 128, 255))  # left eye, right eye, mouth


def draw_faces(rows: Sequence[dict], path: Path) -> None:
    """Draws faces evenly spaced in time, and of each reason some that are not used.

    Args:
        rows: of the table of faces, by frame.
        path: the picture, PNG.
    """
    usable = [row for row in rows if row["rejected"] is None]
    shown = [usable[index] for index in evenly_spaced(len(usable), COLUMNS * ROWS)]
    sheet = [shown[start : start + COLUMNS] for start in range(0, len(shown), COLUMNS)]
    captions = [f"{line[0]['time']:.1f} to {line[-1]['time']:.1f} s" for line in sheet]
    for reason in sorted({row["rejected"] for row in rows} - {None}):
        rejected = [row for row in rows if row["rejected"] == reason]
        sheet.append([rejected[index] for index in evenly_spaced(len(rejected), COLUMNS)])
        captions.append(f"{reason}: {len(rejected)}")
    save_picture(image_grid([[_with_points(row) for row in line] for line in sheet], (), captions, CELL), path)


def _with_points(row: dict) -> np.ndarray:
    """A face's crop with its points, uint8 RGB (CELL, CELL, 3)."""
    image = decode_image(row["image"]["bytes"])
    method = cv2.INTER_AREA if len(image) > CELL else cv2.INTER_CUBIC
    pixels = cv2.resize(image, (CELL, CELL), interpolation=method)
    points, matrix = np.reshape(row["points"], (3, 2)), np.reshape(row["matrix"], (2, 3))
    for (x, y), color in zip(CELL * (points @ matrix[:, :2].T + matrix[:, 2]), _COLORS, strict=True):
        center = round(x - 0.5), round(y - 0.5)
        cv2.circle(pixels, center, 3, (0, 0, 0), -1, cv2.LINE_AA)
        cv2.circle(pixels, center, 2, color, -1, cv2.LINE_AA)
    return pixels
