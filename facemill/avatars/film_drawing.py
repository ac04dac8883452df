"""What frames of films are drawn with: words, curves, outlines, pictures, round corners; canvases are uint8 RGB."""

from functools import lru_cache

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from facemill.data.classes import ROLES, SEVEN

Rgb = tuple[int, int, int]
Place = tuple[int, int, int, int]
"""Left, top, width, height, in pixels."""

RADIUS = 8
"""Of corners, in pixels."""

_SHIFT = 4  # OpenCV's binary places of a pixel


def draw_curve(canvas: np.ndarray, x: np.ndarray, y: np.ndarray, color: Rgb, thickness: int) -> None:
    """A line through the points; it has gaps where `y` is NaN."""
    there = np.isfinite(y)
    points = np.stack([x, np.where(there, y, 0)], 1)
    pieces = np.split(np.arange(len(x)), np.flatnonzero(np.diff(there.astype(np.int8))) + 1)
    curves = [_fixed(points[piece]) for piece in pieces if len(piece) and there[piece[0]]]
    if curves:
        cv2.polylines(canvas, curves, False, color, thickness, cv2.LINE_AA, _SHIFT)


def _fixed(points: np.ndarray) -> np.ndarray:
    return np.round(points * (1 << _SHIFT)).astype(np.int32)


def draw_outlines(canvas: np.ndarray, mask: np.ndarray, square: tuple[float, float, float], clip: Place) -> None:
    """The outlines of a mask's regions, in their classes' colors, over the square of the canvas, within `clip`."""
    left, top, side = square
    view = canvas[clip[1] : clip[1] + clip[3], clip[0] : clip[0] + clip[2]]
    scale = side / len(mask)
    for i in range(1, len(ROLES)):
        contours, _ = cv2.findContours((mask == i).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        curves = [_fixed((c[:, 0] + 0.5) * scale + (left - clip[0], top - clip[1])) for c in contours if len(c) > 3]
        if curves:
            cv2.polylines(view, curves, True, SEVEN.colors[i], 1, cv2.LINE_AA, _SHIFT)


def paste(canvas: np.ndarray, pixels: np.ndarray, place: Place) -> Place:
    """Fits a picture into a place, in its middle; returns where it lies."""
    left, top, width, height = place
    scale = min(width / pixels.shape[1], height / pixels.shape[0])
    size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    x, y = left + (width - size[0]) // 2, top + (height - size[1]) // 2
    canvas[y : y + size[1], x : x + size[0]] = cv2.resize(pixels, size, interpolation=method)
    return x, y, *size


def round_corners(canvas: np.ndarray, place: Place, around: Rgb) -> None:
    """Gives what lies in a place round corners, beyond which is a color."""
    left, top, width, height = place
    view = canvas[top : top + height, left : left + width]
    covered = _corner()[..., None]
    for rows in (1, -1):
        for columns in (1, -1):
            corner = view[::rows, ::columns][:RADIUS, :RADIUS]
            corner[:] = np.round(corner * covered + np.array(around, np.float32) * (1 - covered))


@lru_cache
def _corner() -> np.ndarray:
    """How much of each pixel lies within the upper left corner: float32 (RADIUS, RADIUS)."""
    times = 8
    large = np.zeros((RADIUS * times, RADIUS * times), np.uint8)
    cv2.circle(large, (RADIUS * times, RADIUS * times), RADIUS * times, 255, cv2.FILLED)
    return cv2.resize(large, (RADIUS, RADIUS), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def faded(pixels: np.ndarray) -> np.ndarray:
    """A picture in light grays."""
    gray = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(gray, 0.35, np.full_like(gray, 255), 0.65, 0)


def mix(a: Rgb, b: Rgb, share: float) -> Rgb:
    """From `a` (0) to `b` (1)."""
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


@lru_cache(4096)
def _word(text: str, size: int, most: int) -> np.ndarray:
    """How much each pixel is covered by a text, float32 (H, W, 1), at most so many pixels wide."""
    font = ImageFont.load_default(size)
    while font.getlength(text) > most and len(text) > 1:
        text = text.rstrip("…")[:-1] + "…"
    image = Image.new("L", (max(1, round(font.getlength(text))) + 2, round(size * 1.4)))
    ImageDraw.Draw(image).text((1, image.height / 2), text, 255, font, "lm")
    return np.asarray(image, np.float32)[..., None] / 255


def write(
    canvas: np.ndarray, text: str, at: tuple[int, int], size: int, color: Rgb, anchor: str, most: int = 10_000
) -> int:
    """Writes a text with its left (`lm`), middle (`mm`) or right (`rm`) end at a point; returns its width.

    A text of more than `most` pixels is shortened.
    """
    word = _word(text, size, most)
    height, width = word.shape[:2]
    left = at[0] - {"lm": 0, "mm": width // 2, "rm": width}[anchor]
    view = canvas[at[1] - height // 2 :, left:][:height, :width]
    covered = word[: len(view), : view.shape[1]]
    view[:] = np.round(view * (1 - covered) + np.array(color, np.float32) * covered)
    return width
