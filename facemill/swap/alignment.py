"""The place of a face in a frame: three points, and the similarity that takes them to fixed places of a square crop.

Frame coordinates are OpenCV's: the middle of the pixel in row r and column c is at (c, r). The unit crop is 1 wide and
high, from corner to corner: the middle of column c of a crop of side S is at x = (c + .5) / S.
"""

import math
from itertools import pairwise

import cv2
import numpy as np
from scipy.signal import savgol_filter

from facemill.data.classes import IGNORE

POINTS = np.array([(0.34, 0.42), (0.66, 0.42), (0.5, 0.72)])
"""Left eye, right eye and mouth in the unit crop, float64 (3, 2): it reaches from above the eyebrows to the chin."""

Box = tuple[int, int, int, int]
"""Columns and rows of a frame, x0, y0, x1, y1: `frame[y0:y1, x0:x1]`."""

_WINDOW, _ORDER = 5, 2  # frames, and degree of the polynomial, of the smoothing

_JUMP, _SUDDEN = 0.04, 4
"""A face jumps when it moves by more than this share of its crop's side, and so many times as far as in the frames
before and after: as when a film leaves out some seconds, which is no movement to be smoothed."""


def similarity(points: np.ndarray) -> np.ndarray:
    """The rotation, scale and shift that take three points nearest to `POINTS`: least squares, never a mirroring.

    In the plane, with points as complex numbers, it is a linear regression with one complex slope.
    Umeyama 1991, https://doi.org/10.1109/34.88573

    Args:
        points: left eye, right eye and mouth in a frame, float (3, 2).

    Returns:
        The matrix from frame coordinates to the unit crop, float64 (2, 3).

    Raises:
        ValueError: The points give no size: all three are one, or mirror `POINTS`.
    """
    source, target = ((values := p @ (1, 1j)) - values.mean() for p in (np.asarray(points, np.float64), POINTS))
    slope = np.vdot(source, target) / max(np.vdot(source, source).real, 1e-12)
    if abs(slope) < 1e-9:
        raise ValueError(f"no similarity takes the points {np.asarray(points).tolist()} to those of a face")
    linear = np.array([(slope.real, -slope.imag), (slope.imag, slope.real)])
    return np.column_stack([linear, POINTS.mean(0) - linear @ np.mean(points, 0)])


def crop(pixels: np.ndarray, matrix: np.ndarray, size: int, *, nearest: bool = False) -> np.ndarray:
    """The square crop of a face: cubic where it enlarges, averaged where it shrinks.

    Args:
        pixels: a frame, uint8 or float32 (H, W) or (H, W, C).
        matrix: from the frame to the unit crop, (2, 3).
        size: the crop's side.
        nearest: takes the nearest pixel's value, for masks.

    Returns:
        The crop, of the frame's type, (size, size) or (size, size, C). What lies beyond the frame mirrors it; in masks
        it is `IGNORE`.
    """
    fine = 1 if nearest else _times_finer(size / crop_side(matrix))
    method = cv2.INTER_NEAREST if nearest else cv2.INTER_CUBIC
    border = cv2.BORDER_CONSTANT if nearest else cv2.BORDER_REFLECT
    side = fine * size
    transform = _to_pixels(matrix, side)
    large = cv2.warpAffine(pixels, transform, (side, side), flags=method, borderMode=border, borderValue=(IGNORE,))
    return cv2.resize(large, (size, size), interpolation=cv2.INTER_AREA) if fine > 1 else large


def paste_box(matrix: np.ndarray, width: int, height: int) -> Box | None:
    """The box of a frame around the pixels whose middles lie in the crop; None where it lies beyond the frame."""
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) - matrix[:, 2]
    across, down = np.linalg.solve(matrix[:, :2], corners.T)
    x0, y0 = max(math.ceil(across.min()), 0), max(math.ceil(down.min()), 0)
    x1, y1 = min(math.floor(across.max()) + 1, width), min(math.floor(down.max()) + 1, height)
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def uncrop(crop: np.ndarray, matrix: np.ndarray, box: Box) -> np.ndarray:
    """A crop's values at pixels of the frame: cubic where they are denser than the crop's, else averaged.

    Near sharp edges they reach a little beyond the crop's own range. Beyond the crop its border goes on.

    Args:
        crop: (S, S) or (S, S, C), of at most four channels.
        matrix: from the frame to the unit crop, (2, 3).
        box: of the frame.

    Returns:
        float32 (y1 - y0, x1 - x0), with C channels where the crop has them.
    """
    x0, y0, x1, y1 = box
    width, height, size = x1 - x0, y1 - y0, len(crop)
    fine = _times_finer(crop_side(matrix) / size)
    inverse = np.asarray(cv2.invertAffineTransform(_to_pixels(matrix, size)), np.float64)
    inverse[:, 2] += 0.5 - np.array([x0, y0])
    transform = fine * inverse
    transform[:, 2] -= 0.5
    side = (fine * width, fine * height)
    source = np.asarray(crop, np.float32)
    large = cv2.warpAffine(source, transform, side, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    values = cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA) if fine > 1 else large
    return values.reshape(height, width, *crop.shape[2:])  # OpenCV drops a single channel


def smooth(points: np.ndarray) -> np.ndarray:
    """Points of consecutive frames, float (N, 3, 2), smoothed over time; fewer than five frames stay as they are.

    By parabolas over five frames, which follow a nod and lose what differs from one frame to the next; not across a
    jump of the face.
    Savitzky and Golay 1964, https://doi.org/10.1021/ac60214a047
    """
    smoothed = np.array(points, np.float64)
    for part in steady_parts(smoothed):
        if part.stop - part.start >= _WINDOW:
            smoothed[part] = savgol_filter(smoothed[part], _WINDOW, _ORDER, axis=0)
    return smoothed


def steady_parts(points: np.ndarray) -> list[slice]:
    """The frames from one jump of a face to the next, of its points in consecutive frames, float (N, 3, 2)."""
    moves = np.linalg.norm(np.diff(points.mean(1), axis=0), axis=1)
    around = np.pad(moves, 1)
    usual = np.maximum(around[:-2], around[2:])
    sides = np.array([crop_side(similarity(place)) for place in points[1:]])
    jumps = np.flatnonzero((moves > _JUMP * sides) & (moves > _SUDDEN * usual)) + 1
    return [slice(start, end) for start, end in pairwise([0, *jumps.tolist(), len(points)])]


def jitter(points: np.ndarray, scale: float) -> float:
    """How much points tremble: root mean square of their second differences over time.

    Args:
        points: of consecutive frames, float (N, 3, 2).
        scale: factor from their unit to that of the result.

    Returns:
        The measure, of the length of each point's second difference; NaN of fewer than three frames.
    """
    if len(points) < 3:
        return math.nan
    return float(scale * np.sqrt((np.diff(points, 2, axis=0) ** 2).sum(-1).mean()))


def crop_side(matrix: np.ndarray) -> float:
    """The side of the unit crop in pixels of the frame, by the matrix (2, 3) from the frame to it."""
    return 1 / math.sqrt(abs(np.linalg.det(matrix[:, :2])))


def _to_pixels(matrix: np.ndarray, side: int) -> np.ndarray:
    """From frame coordinates to those of a crop, whose first pixel's middle is at 0: float64 (2, 3)."""
    transform = np.asarray(matrix, np.float64) * side
    transform[:, 2] -= 0.5
    return transform


def _times_finer(scale: float) -> int:
    """By how much finer a shrunk image is sampled before it is averaged, so that no pixel is passed over."""
    return max(1, math.ceil(1 / scale - 1e-6))
