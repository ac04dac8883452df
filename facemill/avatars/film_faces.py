"""The face in a film, found by the U-Net and followed from frame to frame."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from facemill.avatars.regions import MIN_PIXELS, box_of, seven_ids
from facemill.data.classes import IGNORE, SEVEN
from facemill.inference.segmenter import Letterbox, Segmenter, letterbox, unletterbox

SIZE = 256
"""Pixels on a side of the square that is cut out."""

MARGIN = 0.5
"""On each side of the face, in its longer sides: portraits of two collections are 1.97 and 2.06 faces large."""

_RAISED = 0.05
"""Of the square's side, by which the face's middle is below its own: hair needs more room than the neck."""

LEAST_FOUND = 0.006
"""Share of the frame that a face covers at least: an eighth of its height, in a wide frame."""

DOUBTED = 24
"""Frames in a row in which a followed face would not pass as a new one, after which it is none."""

_STILL = 0.04  # of the square's side: a face that moves less leaves it where it is
_GLIDE = 0.35  # share of the way that the square follows the face in a frame
_JUMP = 0.25  # of the square's side: a face that moves farther is followed at once
_FACE = SEVEN.role_ids("face", "eye", "mouth")
_EYE = SEVEN.role_ids("eye")


@dataclass(frozen=True)
class Limits:
    """What a piece of face, eyes and mouth must be to count as a face."""

    share: float
    """Of the square, at least."""
    confidence: float
    """Mean probability of its pixels' classes, at least."""
    eyes: float
    """Their width over that of the piece, at least; 0 where there need not be any."""
    height: tuple[float, float]
    """Of the eyes' middle on the piece, from its top."""
    slender: float
    """Height over width, at least."""
    solid: float
    """Share of its convex hull, at least."""


NEW = Limits(share=0.05, confidence=0.85, eyes=0.35, height=(0.2, 0.6), slender=0.75, solid=0.86)
"""Of a face that comes: what U-Nets take for faces in clouds and letters fails one of these."""

FOLLOWED = Limits(share=0.03, confidence=0.75, eyes=0.15, height=(0.1, 0.7), slender=0.5, solid=0.6)
"""Of a face that was there in the frame before: hands, profiles and grimaces pass."""

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
    confidence: float = 1.0
    """Mean probability of the classes of the face's pixels; 0 without any."""


class FaceFollower:
    """Finds a film's face, and follows it: for the frames of one film, in their order.

    A new face is the largest connected piece of face, eyes and mouth in the mask of the frame, once the mask of the
    square around it shows a face, too (`NEW`). The square then follows: it stands still while the face hardly
    moves, since each move changes the mask a little, glides after small moves, and jumps with large ones. A face that
    is lost is looked for in the whole frame.
    """

    def __init__(self, segmenter: Segmenter, size: int = SIZE) -> None:
        """A follower whose squares have `size` pixels on a side."""
        self.segmenter, self.size = segmenter, size
        self._square: Square | None = None
        self._doubts = 0

    def follow(self, frame: np.ndarray) -> Face | None:
        """The face in the next frame, uint8 RGB (H, W, 3); None where there is none."""
        if self._square is not None:
            face = self.look(frame, self._square)
            self._doubts = 0 if square_around(face, NEW) else self._doubts + 1
            if self._doubts < DOUBTED and (around := square_around(face, FOLLOWED)):
                self._square = next_square(self._square, around)
                return face
        self._square, self._doubts = None, 0
        for square in (squares[0] for squares in find_squares(self.segmenter, frame) if squares):
            face = self.look(frame, square)
            if around := square_around(face, NEW):
                self._square = around
                return self.look(frame, around)
        return None

    def look(self, frame: np.ndarray, square: Square) -> Face:
        """A square of the frame with its mask, whatever it shows."""
        pixels, inside = _cut(frame, square, self.size)
        side, classes = self.segmenter.size, self.segmenter.classes
        small = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
        logits = self.segmenter.logits([small])[0]
        best = logits.softmax(0).max(0)
        face = np.isin(best.indices.cpu().numpy(), classes.role_ids("face", "eye", "mouth"))
        confidence = float(best.values.cpu().numpy()[face].mean()) if face.any() else 0.0
        mask = unletterbox(logits.cpu().numpy(), Letterbox(0, 0, side, side, self.size, self.size))
        ids = np.where(inside, seven_ids(mask, classes), IGNORE).astype(np.uint8)
        return Face(pixels, ids, square, confidence)


def find_squares(segmenter: Segmenter, frame: np.ndarray) -> Iterator[list[Square]]:
    """Squares around what may be faces, the largest first: of those in the frame, and then of those in parts of it.

    Args:
        segmenter: the U-Net.
        frame: uint8 RGB (H, W, 3).

    Yields:
        For the frame, and for each part of one that is much longer than wide, the squares; no two of one part overlap
        in their faces, but parts show the same faces again.
    """
    height, width = frame.shape[:2]
    least = max(LEAST_FOUND * height * width, MIN_PIXELS)
    for left, top, view_width, view_height in _views(width, height):
        view = Image.fromarray(frame[top : top + view_height, left : left + view_width])
        square, place = letterbox(view, segmenter.size)
        mask = unletterbox(segmenter.logits([square])[0].cpu().numpy(), place)
        faces = face_pieces(seven_ids(mask, segmenter.classes), least)
        yield [_around(piece, left, top) for piece in faces]


def _views(width: int, height: int) -> list[tuple[int, int, int, int]]:
    """Left, top, width and height of the frame, and of the squares of its shorter side where that is much shorter."""
    side, rest = min(width, height), abs(width - height)
    squares = [start * rest // 2 for start in range(3)] if rest > 0.2 * side else []
    places = [(start, 0) if width > height else (0, start) for start in squares]
    return [(0, 0, width, height), *((left, top, side, side) for left, top in places)]


def face_pieces(mask: np.ndarray, least: float = MIN_PIXELS) -> Iterator[np.ndarray]:
    """Yields the connected pieces of face, eyes and mouth in a mask, each as 1 in 0, uint8 (H, W); the largest first.

    Args:
        mask: ids of `SEVEN`, uint8 (H, W).
        least: pixels of a piece.
    """
    face = np.isin(mask, _FACE).astype(np.uint8)
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(face, connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    for piece in np.argsort(-areas, kind="stable"):
        if areas[piece] >= least:
            yield (pieces == piece + 1).astype(np.uint8)


def _around(piece: np.ndarray, left: float, top: float, scale: float = 1.0) -> Square:
    """The square around a piece, whose mask begins at a point of the frame and has pixels of a size."""
    box = box_of(piece * 255)
    assert box  # pieces are large
    x0, y0, x1, y1 = box
    side = (1 + 2 * MARGIN) * max(x1 - x0, y1 - y0) * scale
    x, y = left + (x0 + x1) / 2 * scale, top + (y0 + y1) / 2 * scale - _RAISED * side
    return x - side / 2, y - side / 2, side


def square_around(face: Face, limits: Limits, piece: np.ndarray | None = None) -> Square | None:
    """The square around the face that a square shows; None where it shows none.

    Args:
        face: a square with its mask.
        limits: what counts as a face.
        piece: that of `face_pieces` which is the face; None for the largest.
    """
    piece = next(face_pieces(face.mask), None) if piece is None else piece
    if piece is None or piece.mean() < limits.share or face.confidence < limits.confidence:
        return None
    eyes = box_of((np.isin(face.mask, _EYE) & (piece > 0)).astype(np.uint8) * 255)
    box = box_of(piece * 255)
    if box is None or (eyes is None and limits.eyes > 0):
        return None
    width, height = box[2] - box[0], box[3] - box[1]
    apart, at = ((eyes[2] - eyes[0]) / width, ((eyes[1] + eyes[3]) / 2 - box[1]) / height) if eyes else (0, 0)
    hull = cv2.convexHull(cv2.findNonZero(piece))
    plausible = (
        apart >= limits.eyes
        and limits.height[0] <= at <= limits.height[1]
        and height >= limits.slender * width
        and cv2.countNonZero(piece) >= limits.solid * cv2.contourArea(hull)
    )
    left, top, side = face.square
    return _around(piece, left, top, side / len(piece)) if plausible else None


def next_square(square: Square, around: Square) -> Square:
    """Where the square of a followed face is in the next frame, the face in this one asking for `around`."""
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
