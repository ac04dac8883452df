"""The picture of exchanged faces: held-out frames, before and after."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from facemill.data.batching import evenly_spaced
from facemill.imaging.figures import image_grid
from facemill.swap.held_out import Shown

ROWS = 4
"""Frames of each direction."""
CELL = 192


def shown_rows(count: int) -> list[int]:
    """Which of so many held-out faces are shown: evenly spaced ones."""
    return evenly_spaced(count, ROWS)


def swap_sheet(shown: Mapping[str, Sequence[Shown]], true: Mapping[str, Sequence[np.ndarray]]) -> Image.Image:
    """Frames as they were and with another face, that face, what the decoder drew, and what there should be.

    Args:
        shown: by direction its rows.
        true: by direction the frames as they should be, uint8 RGB; empty where nobody knows.
    """
    columns = ["frame", "face exchanged", "the face", "as it was drawn"]
    rows, captions = [], []
    for direction, frames in shown.items():
        true_frames = true.get(direction, [])
        for number, frame in enumerate(frames):
            row = [frame.before, frame.after, frame.face, frame.drawn]
            rows.append([*row, true_frames[number]] if true_frames else row)
            captions.append(f"{direction.replace('2', ' to ')}, {frame.time:.1f} s")
    return image_grid(rows, [*columns, "as it should be"] if any(true.values()) else columns, captions, cell=CELL)
