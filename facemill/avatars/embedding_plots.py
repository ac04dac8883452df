"""The frames of a film of embeddings: a film's frame, its face, the avatar, and each role's embeddings over time.

All that stays is drawn once; OpenCV's lines and cached words come over it, since Matplotlib draws 5 frames a second.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from facemill.avatars.film_faces import Face
from facemill.avatars.styles import PartRole
from facemill.data.classes import ROLES, SEVEN

WIDTH, HEIGHT = 1280, 720
SECONDS = 5.0
"""How long an embedding stays in its plot."""
SHOWN = 8
"""Numbers of an embedding that are shown as bars; the first of them over time."""

Rgb = tuple[int, int, int]
Place = tuple[int, int, int, int]
"""Left, top, width, height."""

FACE: Rgb = (240, 106, 168)
AVATAR: Rgb = (123, 79, 201)
CHANGED: Rgb = (222, 38, 62)
_PAPER: Rgb = (243, 243, 248)
_CARD: Rgb = (255, 255, 255)
_INK: Rgb = (32, 34, 44)
_GRAY: Rgb = (140, 142, 156)
_LINE: Rgb = (228, 229, 237)
_DARK: Rgb = (24, 25, 33)

_FRAME: Place = (24, 60, 576, 324)
_SQUARE: Place = (24, 400, 280, 280)
_AVATAR: Place = (320, 400, 280, 280)
_CARD_SIZE = 308, 196
_OVER_TIME = (1.0, 0.5, 0.25)  # strengths of the first numbers' lines
_FADES = 0.8  # seconds in which the mark of a change fades
_SHIFT = 4  # OpenCV's binary places of a pixel


@dataclass(frozen=True)
class RoleState:
    """A role in a frame of the film."""

    variant: str
    """Of the avatar."""
    margin: float | None
    """By which share the second candidate is farther than the first; None where the film shows no such part."""
    face: np.ndarray | None
    """Embedding of the face's part: float (up to `SHOWN`,), about -1 to 1; None where the film shows none."""
    avatar: np.ndarray | None
    """Embedding of the avatar's part."""
    changed: bool
    """Whether the avatar's part is another than in the frame before."""


class EmbeddingPlots:
    """Draws the frames of a film of embeddings, in their order."""

    def __init__(self, roles: Sequence[PartRole], title: str, credit: str = "") -> None:
        """Draws what stays: cards, names, axes.

        Args:
            roles: the roles that have a card, at most six.
            title: words above all.
            credit: words below the avatar: whose drawings these are.
        """
        self._cards = {role: _card_place(i) for i, role in enumerate(roles)}
        self._history: dict[PartRole, deque[tuple[float, RoleState]]] = {role: deque() for role in roles}
        self._background = _background(self._cards, title, credit)

    def draw(
        self,
        time: float,
        frame: np.ndarray,
        seen: Face | None,
        avatar: np.ndarray | None,
        roles: Mapping[PartRole, RoleState],
    ) -> np.ndarray:
        """The next frame: uint8 RGB (HEIGHT, WIDTH, 3).

        Args:
            time: of the film's frame, in seconds.
            frame: of the film, uint8 RGB (H, W, 3), any size.
            seen: the face in it; None where there is none.
            avatar: uint8 RGB, square; the last one where the frame has no face, None before the first.
            roles: by role, those that have a card.
        """
        canvas = self._background.copy()
        place = _paste(canvas, frame, _FRAME)
        scale = place[2] / frame.shape[1]
        if seen is None:
            _write(canvas, "no face", _middle(_SQUARE), 20, _GRAY, "mm")
        else:
            left, top, side = seen.square
            _outlines(canvas, seen.mask, (place[0] + left * scale, place[1] + top * scale, side * scale), place)
            inner = _paste(canvas, seen.pixels, _SQUARE)
            _outlines(canvas, seen.mask, (*inner[:2], inner[2]), inner)
        if avatar is not None:
            _paste(canvas, avatar if seen else _faded(avatar), _AVATAR)
        _write(canvas, f"{time:.2f} s", (WIDTH - 24, 32), 16, _GRAY, "rm")
        for role, card in self._cards.items():
            if role in roles:
                self._history[role].append((time, roles[role]))
            self._draw_role(canvas, card, self._history[role], time)
        return canvas

    def _draw_role(self, canvas: np.ndarray, card: Place, history: deque[tuple[float, RoleState]], time: float) -> None:
        while history and not time - SECONDS <= history[0][0] <= time:
            history.popleft()
        if not history:
            return
        at, state = history[-1]
        here = at == time and state.face is not None
        since = min((time - t for t, s in history if s.changed), default=_FADES)
        color = _mix(CHANGED, AVATAR if here else _GRAY, min(since / _FADES, 1))
        right = card[0] + card[2] - 14
        _write(canvas, state.variant, (right, card[1] + 20), 15, color, "rm", most=card[2] - 110)
        margin = f"margin {state.margin:.2f}" if here and state.margin is not None else "not seen"
        _write(canvas, margin, (right, card[1] + 40), 12, _GRAY, "rm")
        if here:
            _draw_bars(canvas, _bars_place(card), state)
        _draw_lines(canvas, _lines_place(card), history, time)


def _draw_bars(canvas: np.ndarray, place: Place, state: RoleState) -> None:
    left, top, width, height = place
    middle, step = top + height // 2, width / SHOWN
    for values, color, side in ((state.face, FACE, 0), (state.avatar, AVATAR, 1)):
        for i, value in enumerate(() if values is None else np.clip(values[:SHOWN], -1, 1)):
            x = round(left + step * (i + 0.5)) + (1 if side else -11)
            y = round(middle - float(value) * (height / 2 - 2))
            cv2.rectangle(canvas, (x, min(y, middle)), (x + 10, max(y, middle)), color, cv2.FILLED)


def _draw_lines(canvas: np.ndarray, place: Place, history: deque[tuple[float, RoleState]], time: float) -> None:
    left, top, width, height = place
    times = np.array([t for t, _ in history])
    x = left + width * (1 - (time - times) / SECONDS)
    for at, (_, state) in zip(x, history, strict=True):
        if state.changed:
            cv2.line(canvas, (round(at), top), (round(at), top + height - 1), CHANGED, 1)
    for name, color in (("avatar", AVATAR), ("face", FACE)):
        for row in reversed(range(len(_OVER_TIME))):
            shade = _mix(_CARD, color, _OVER_TIME[row])
            values = [_number(getattr(state, name), row) for _, state in history]
            y = top + height / 2 - np.clip(np.array(values), -1, 1) * (height / 2 - 3)
            _draw_curve(canvas, x, y, shade, 2 if row == 0 else 1)


def _number(values: np.ndarray | None, row: int) -> float:
    return float(values[row]) if values is not None and row < len(values) else np.nan


def _draw_curve(canvas: np.ndarray, x: np.ndarray, y: np.ndarray, color: Rgb, thickness: int) -> None:
    """A line through the points; it has gaps where `y` is NaN."""
    there = np.isfinite(y)
    points = np.stack([x, np.where(there, y, 0)], 1)
    pieces = np.split(np.arange(len(x)), np.flatnonzero(np.diff(there.astype(np.int8))) + 1)
    curves = [_fixed(points[piece]) for piece in pieces if len(piece) and there[piece[0]]]
    if curves:
        cv2.polylines(canvas, curves, False, color, thickness, cv2.LINE_AA, _SHIFT)


def _fixed(points: np.ndarray) -> np.ndarray:
    return np.round(points * (1 << _SHIFT)).astype(np.int32)


def _outlines(canvas: np.ndarray, mask: np.ndarray, square: tuple[float, float, float], clip: Place) -> None:
    """The outlines of a mask's regions, in their classes' colors, over the square of the canvas, within `clip`."""
    left, top, side = square
    view = canvas[clip[1] : clip[1] + clip[3], clip[0] : clip[0] + clip[2]]
    scale = side / len(mask)
    for i in range(1, len(ROLES)):
        contours, _ = cv2.findContours((mask == i).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        curves = [_fixed((c[:, 0] + 0.5) * scale + (left - clip[0], top - clip[1])) for c in contours if len(c) > 3]
        if curves:
            cv2.polylines(view, curves, True, SEVEN.colors[i], 1, cv2.LINE_AA, _SHIFT)


def _paste(canvas: np.ndarray, pixels: np.ndarray, place: Place) -> Place:
    """Fits a picture into a place, in its middle; returns where it lies."""
    left, top, width, height = place
    scale = min(width / pixels.shape[1], height / pixels.shape[0])
    size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    x, y = left + (width - size[0]) // 2, top + (height - size[1]) // 2
    canvas[y : y + size[1], x : x + size[0]] = cv2.resize(pixels, size, interpolation=method)
    return x, y, *size


def _faded(pixels: np.ndarray) -> np.ndarray:
    gray = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(gray, 0.35, np.full_like(gray, 255), 0.65, 0)


def _card_place(i: int) -> Place:
    width, height = _CARD_SIZE
    return 624 + i % 2 * (width + 16), 60 + i // 2 * (height + 16), width, height


def _bars_place(card: Place) -> Place:
    return card[0] + 14, card[1] + 54, card[2] - 28, 64


def _lines_place(card: Place) -> Place:
    return card[0] + 14, card[1] + 126, card[2] - 28, 60


def _middle(place: Place) -> tuple[int, int]:
    return place[0] + place[2] // 2, place[1] + place[3] // 2


def _background(cards: Mapping[PartRole, Place], title: str, credit: str) -> np.ndarray:
    times = 4  # drawn so much larger and reduced, which makes the corners round
    large = Image.new("RGB", (WIDTH * times, HEIGHT * times), _PAPER)
    draw = ImageDraw.Draw(large)
    for place, color in [(_FRAME, _DARK), (_SQUARE, _CARD), (_AVATAR, _CARD), *((c, _CARD) for c in cards.values())]:
        left, top, width, height = (times * side for side in place)
        draw.rounded_rectangle((left, top, left + width - 1, top + height - 1), 8 * times, color)
    canvas = np.array(large.resize((WIDTH, HEIGHT), Image.Resampling.BOX))
    _write(canvas, title, (24, 32), 19, _INK, "lm", most=WIDTH - 160)
    for role, card in cards.items():
        _write(canvas, role, (card[0] + 14, card[1] + 20), 17, _INK, "lm")
        for left, top, width, height in (_bars_place(card), _lines_place(card)):
            cv2.line(canvas, (left, top + height // 2), (left + width - 1, top + height // 2), _LINE, 1)
    _write(canvas, credit, (24, 700), 13, _GRAY, "lm", most=576)
    x = 624
    for text, color in (("face", FACE), ("avatar's part", AVATAR), ("another part", CHANGED)):
        cv2.circle(canvas, (x + 6, 700), 5, color, cv2.FILLED, cv2.LINE_AA)
        x += 40 + _write(canvas, text, (x + 18, 700), 13, _GRAY, "lm")
    _write(canvas, f"bars: now; lines: the last {SECONDS:.0f} s", (WIDTH - 24, 700), 13, _GRAY, "rm")
    return canvas


def _mix(a: Rgb, b: Rgb, share: float) -> Rgb:
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


def _write(
    canvas: np.ndarray, text: str, at: tuple[int, int], size: int, color: Rgb, anchor: str, most: int = WIDTH
) -> int:
    """Writes a text with its left (`lm`), middle (`mm`) or right (`rm`) end at a point; returns its width."""
    word = _word(text, size, most)
    height, width = word.shape[:2]
    left = at[0] - {"lm": 0, "mm": width // 2, "rm": width}[anchor]
    view = canvas[at[1] - height // 2 :, left:][:height, :width]
    covered = word[: len(view), : view.shape[1]]
    view[:] = np.round(view * (1 - covered) + np.array(color, np.float32) * covered)
    return width
