"""The face in a film, found by the U-Net and followed from frame to frame."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from facemill.avatars.regions import box_of, seven_ids
from facemill.data.classes import IGNORE, SEVEN
from facemill.inference.segmenter import Letterbox, Segmenter, letterbox, unletterbox

SIZE = 256
"""Pixels on a side of the square that is cut out."""

MARGIN = 0.5
"""On each side of the face, in its longer sides: portraits of two collections are 1.97 and 2.06 faces large."""

_RAISED = 0.05
"""Of the square's side, by which the face's middle is below its own: hair needs more room than the neck."""

LEAST_FACE = 0.05
"""Share of the square that the face covers at least."""

LEAST_FOUND = 0.003
"""Share of the frame that a face covers at least to be looked at closely; twenty times as large."""

_STILL = 0.04  # of the square's side: a face that moves less leaves it where it is
_GLIDE = 0.35  # share of the way that the square follows the face in a frame
_JUMP = 0.25  # of the square's side: a face that moves farther is followed at once
_FACE = SEVEN.role_ids("face", "eye", "mouth")
_EYE = SEVEN.role_ids("eye")
_LEAST_EYES = 0.002  # of the square: what has no eyes is no face

Square = tuple[float, float, float]
"""Left, top and side, in pixels of the frame; it may reach beyond."""


@dataclass(frozen=True)
class Face:
    """A face in a frame of a film."""

    pixels: np.ndarray
    """The square around it: uint8 RGB (S, S, 3); what lies beyond the frame mirrors it."""
    mask: np.ndarray
    """Ids of `SEVEN`, uint8 (S, S); `IGNORE` beyond the frame."""
    square: Square


class FaceFollower:
    """Finds a film's face, and follows it: for the frames of one film, in their order.

    A new face is the largest connected piece of face, eyes and mouth in the mask of the frame, once the mask of the
    square around it shows a face with eyes, too. The square then follows: it stands still while the face hardly
    moves, since each move changes the mask a little, glides after small moves, and jumps with large ones. A face that
    is lost is looked for in the whole frame.
    """

    def __init__(self, segmenter: Segmenter, size: int = SIZE) -> None:
        """A follower whose squares have `size` pixels on a side."""
        self.segmenter, self.size = segmenter, size
        self._square: Square | None = None

    def follow(self, frame: np.ndarray) -> Face | None:
        """The face in the next frame, uint8 RGB (H, W, 3); None where there is none."""
        if self._square is not None:
            face = self.look(frame, self._square)
            if around := _square_around(face):
                self._square = _next_square(self._square, around)
                return face
        self._square = None
        for square in self._find(frame):
            face = self.look(frame, square)
            if around := _square_around(face):
                self._square = around
                return self.look(frame, around)
        return None

    def look(self, frame: np.ndarray, square: Square) -> Face:
        """A square of the frame with its mask, whatever it shows."""
        pixels, inside = _cut(frame, square, self.size)
        side = self.segmenter.size
        small = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
        logits = self.segmenter.logits([small])[0].cpu().numpy()
        mask = unletterbox(logits, Letterbox(0, 0, side, side, self.size, self.size))
        return Face(pixels, np.where(inside, seven_ids(mask, self.segmenter.classes), IGNORE).astype(np.uint8), square)

    def _find(self, frame: np.ndarray) -> Iterator[Square]:
        """Squares around what may be the face: around the largest piece in the frame, and then in each part of it."""
        height, width = frame.shape[:2]
        least = LEAST_FOUND * height * width
        for left, top, view_width, view_height in _views(width, height):
            view = Image.fromarray(frame[top : top + view_height, left : left + view_width])
            square, place = letterbox(view, self.segmenter.size)
            mask = unletterbox(self.segmenter.logits([square])[0].cpu().numpy(), place)
            piece = _largest_piece(np.isin(seven_ids(mask, self.segmenter.classes), _FACE))
            if piece is not None and np.count_nonzero(piece) >= least:
                yield _around(piece, left, top)


def _views(width: int, height: int) -> list[tuple[int, int, int, int]]:
    """Left, top, width and height of the frame, and of the squares of its shorter side where that is much shorter."""
    side, rest = min(width, height), abs(width - height)
    squares = [start * rest // 2 for start in range(3)] if rest > 0.2 * side else []
    places = [(start, 0) if width > height else (0, start) for start in squares]
    return [(0, 0, width, height), *((left, top, side, side) for left, top in places)]


def _largest_piece(mask: np.ndarray) -> np.ndarray | None:
    """The largest connected piece of a mask, uint8 (H, W); None of an empty one."""
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count < 2:
        return None
    return (pieces == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()).astype(np.uint8)


def _around(piece: np.ndarray, left: float, top: float, scale: float = 1.0) -> Square:
    """The square around a piece, whose mask begins at a point of the frame and has pixels of a size."""
    box = box_of(piece * 255)
    assert box  # pieces are large
    x0, y0, x1, y1 = box
    side = (1 + 2 * MARGIN) * max(x1 - x0, y1 - y0) * scale
    x, y = left + (x0 + x1) / 2 * scale, top + (y0 + y1) / 2 * scale - _RAISED * side
    return x - side / 2, y - side / 2, side


def _square_around(face: Face) -> Square | None:
    """The square around the face that a square shows; None where it shows none."""
    piece = _largest_piece(np.isin(face.mask, _FACE))
    if piece is None or piece.mean() < LEAST_FACE:
        return None
    if (np.isin(face.mask, _EYE) & (piece > 0)).mean() < _LEAST_EYES:
        return None
    left, top, side = face.square
    return _around(piece, left, top, side / len(piece))


def _next_square(square: Square, around: Square) -> Square:
    """Where the square is in the next frame, the face in this one asking for `around`."""
    sizes = np.array([square[2], around[2]])
    middles = np.array([square[:2], around[:2]]) + sizes[:, None] / 2
    moved = max(*np.abs(middles[1] - middles[0]), abs(sizes[1] - sizes[0])) / square[2]
    if moved < _STILL:
        return square
    share = 1.0 if moved > _JUMP else _GLIDE
    (x, y), side = middles[0] + share * (middles[1] - middles[0]), sizes[0] + share * (sizes[1] - sizes[0])
    return float(x - side / 2), float(y - side / 2), float(side)


def _cut(frame: np.ndarray, square: Square, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A square of a frame, uint8 RGB (size, size, 3), and which of its pixels lie in the frame, bool (size, size)."""
    left, top, side = (round(value) for value in square)
    side = max(side, 1)
    height, width = frame.shape[:2]
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + side, width), min(top + side, height)
    part = frame[y0:y1, x0:x1]
    around = y0 - top, top + side - y1, x0 - left, left + side - x1
    padded = cv2.copyMakeBorder(part, *around, cv2.BORDER_REFLECT)
    inside = cv2.copyMakeBorder(np.ones(part.shape[:2], np.uint8), *around, cv2.BORDER_CONSTANT, value=0)
    method = cv2.INTER_AREA if side > size else cv2.INTER_CUBIC
    pixels = cv2.resize(padded, (size, size), interpolation=method)
    return pixels, cv2.resize(inside, (size, size), interpolation=cv2.INTER_NEAREST).astype(bool)
