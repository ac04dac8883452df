"""The frames of a film of embeddings: a film's frame, its face, the avatar, and each role's embeddings over time.

All that stays is drawn once; OpenCV's lines and cached words come over it, since Matplotlib draws 5 frames a second.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from facemill.avatars.film_drawing import (
    Place,
    Rgb,
    draw_curve,
    draw_outlines,
    faded,
    mix,
    paste,
    round_corners,
    write,
)
from facemill.avatars.film_faces import Face, Square
from facemill.avatars.styles import PartRole

WIDTH, HEIGHT = 1280, 720
SECONDS = 5.0
"""How long an embedding stays in its plot."""
SHOWN = 8
"""Numbers of an embedding that are shown as bars; the first of them over time."""

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
_CARDS = 6
_OVER_TIME = (1.0, 0.5, 0.25)  # strengths of the first numbers' lines
_FADES = 0.8  # seconds in which the mark of a change fades


@dataclass(frozen=True)
class RoleState:
    """A role in a frame of the film."""

    variant: str
    """Of the avatar."""
    margin: float | None
    """As in `film_choices.Chosen`; None where the film shows no such part."""
    face: np.ndarray | None
    """Embedding of the face's part: float (up to `SHOWN`,), about -1 to 1; None where the film shows none."""
    avatar: np.ndarray | None
    """Embedding of the avatar's part."""
    changed: bool
    """Whether the avatar's part is another than in the frame before."""


@dataclass(frozen=True)
class Swatch:
    """A color of the avatar beside that of the face."""

    region: str
    face: str
    """Hex, such as `#a0b1c2`."""
    avatar: str | None
    """None where nothing of it shows."""
    difference: float | None
    """CIEDE2000."""


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
        self._colors = _card_place(len(roles)) if len(roles) < _CARDS else None
        self._background = _background(self._cards, self._colors, title, credit)

    def draw(
        self,
        time: float,
        frame: np.ndarray,
        seen: Face | None,
        avatar: np.ndarray | None,
        roles: Mapping[PartRole, RoleState],
        colors: Sequence[Swatch] = (),
    ) -> np.ndarray:
        """The next frame: uint8 RGB (HEIGHT, WIDTH, 3).

        Args:
            time: of the film's frame, in seconds.
            frame: of the film, uint8 RGB (H, W, 3), any size.
            seen: the face in it; None where there is none.
            avatar: uint8 RGB, square; the last one where the frame has no face, None before the first.
            roles: by role, those that have a card.
            colors: of the avatar; shown where a card is left, at most four.
        """
        canvas = self._background.copy()
        place = paste(canvas, frame, _FRAME)
        scale = place[2] / frame.shape[1]
        if seen is None:
            write(canvas, "no face", _middle(_SQUARE), 20, _GRAY, "mm")
        else:
            left, top, side = seen.square
            draw_outlines(canvas, seen.mask, (place[0] + left * scale, place[1] + top * scale, side * scale), place)
            inner = paste(canvas, seen.pixels, _SQUARE)
            _cover_beyond(canvas, inner, seen.square, frame.shape)
            draw_outlines(canvas, seen.mask, (*inner[:2], inner[2]), inner)
        if avatar is not None:
            paste(canvas, avatar if seen else faded(avatar), _AVATAR)
        write(canvas, f"{time:.2f} s", (WIDTH - 24, 32), 16, _GRAY, "rm")
        for role, card in self._cards.items():
            if role in roles:
                self._history[role].append((time, roles[role]))
            self._draw_role(canvas, card, self._history[role], time)
        if self._colors:
            _draw_colors(canvas, self._colors, colors)
        for place in (_FRAME, _SQUARE, _AVATAR):
            round_corners(canvas, place, _PAPER)
        return canvas

    def _draw_role(self, canvas: np.ndarray, card: Place, history: deque[tuple[float, RoleState]], time: float) -> None:
        while history and not time - SECONDS <= history[0][0] <= time:
            history.popleft()
        if not history:
            return
        at, state = history[-1]
        here = at == time and state.face is not None
        since = min((time - t for t, s in history if s.changed), default=_FADES)
        color = mix(CHANGED, AVATAR if here else _GRAY, min(since / _FADES, 1))
        right = card[0] + card[2] - 14
        write(canvas, state.variant, (right, card[1] + 20), 15, color, "rm", most=card[2] - 110)
        margin = f"margin {state.margin:.2f}" if here and state.margin is not None else "not seen"
        write(canvas, margin, (right, card[1] + 40), 12, _GRAY, "rm")
        if here:
            _draw_bars(canvas, _bars_place(card), state)
        _draw_lines(canvas, _lines_place(card), history, time)


def _cover_beyond(canvas: np.ndarray, place: Place, square: Square, shape: tuple[int, ...]) -> None:
    """Covers what lies beyond the frame in the picture of the square."""
    left, top, width, height = place
    scale = width / square[2]
    x0, y0 = (max(0, round(-start * scale)) for start in square[:2])
    x1, y1 = (round((side - start) * scale) for side, start in zip(shape[1::-1], square[:2], strict=True))
    view = canvas[top : top + height, left : left + width]
    for beyond in (view[:y0], view[max(y1, 0) :], view[:, :x0], view[:, max(x1, 0) :]):
        beyond[:] = _CARD


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
            shade = mix(_CARD, color, _OVER_TIME[row])
            values = [_number(getattr(state, name), row) for _, state in history]
            y = top + height / 2 - np.clip(np.array(values), -1, 1) * (height / 2 - 3)
            draw_curve(canvas, x, y, shade, 2 if row == 0 else 1)


def _draw_colors(canvas: np.ndarray, card: Place, colors: Sequence[Swatch]) -> None:
    left, right = card[0] + 14, card[0] + card[2] - 14
    for i, swatch in enumerate(colors[:4]):
        top, middle = card[1] + 44 + 36 * i, card[1] + 58 + 36 * i
        write(canvas, swatch.region, (left, middle), 14, _GRAY, "lm")
        place = left + 74, top, 160, 28
        for x, color, edge in ((place[0], swatch.face, FACE), (place[0] + 80, swatch.avatar, AVATAR)):
            canvas[top : top + 25, x : x + 80] = list(bytes.fromhex(color[1:])) if color else _CARD
            canvas[top + 25 : top + 28, x : x + 80] = edge
        round_corners(canvas, place, _CARD)
        if swatch.difference is not None:
            write(canvas, f"{swatch.difference:.1f}", (right, middle), 14, _GRAY, "rm")


def _number(values: np.ndarray | None, row: int) -> float:
    return float(values[row]) if values is not None and row < len(values) else np.nan


def _card_place(i: int) -> Place:
    width, height = _CARD_SIZE
    return 624 + i % 2 * (width + 16), 60 + i // 2 * (height + 16), width, height


def _bars_place(card: Place) -> Place:
    return card[0] + 14, card[1] + 54, card[2] - 28, 64


def _lines_place(card: Place) -> Place:
    return card[0] + 14, card[1] + 126, card[2] - 28, 60


def _middle(place: Place) -> tuple[int, int]:
    return place[0] + place[2] // 2, place[1] + place[3] // 2


def _background(cards: Mapping[PartRole, Place], colors: Place | None, title: str, credit: str) -> np.ndarray:
    all_cards = [*cards.values(), *([colors] if colors else [])]
    canvas = np.full((HEIGHT, WIDTH, 3), _PAPER, np.uint8)
    for place, color in [(_FRAME, _DARK), (_SQUARE, _CARD), (_AVATAR, _CARD), *((card, _CARD) for card in all_cards)]:
        left, top, width, height = place
        canvas[top : top + height, left : left + width] = color
        round_corners(canvas, place, _PAPER)
    write(canvas, title, (24, 32), 19, _INK, "lm", most=WIDTH - 160)
    for role, card in cards.items():
        write(canvas, role, (card[0] + 14, card[1] + 20), 17, _INK, "lm")
        for left, top, width, height in (_bars_place(card), _lines_place(card)):
            cv2.line(canvas, (left, top + height // 2), (left + width - 1, top + height // 2), _LINE, 1)
    if colors:
        write(canvas, "colors", (colors[0] + 14, colors[1] + 20), 17, _INK, "lm")
        write(canvas, "CIEDE2000", (colors[0] + colors[2] - 14, colors[1] + 20), 12, _GRAY, "rm")
    write(canvas, credit, (24, 700), 13, _GRAY, "lm", most=576)
    x = 624
    for text, color in (("face", FACE), ("avatar's part", AVATAR), ("another part", CHANGED)):
        cv2.circle(canvas, (x + 6, 700), 5, color, cv2.FILLED, cv2.LINE_AA)
        x += 40 + write(canvas, text, (x + 18, 700), 13, _GRAY, "lm")
    write(canvas, f"bars: now; lines: the last {SECONDS:.0f} s", (WIDTH - 24, 700), 13, _GRAY, "rm")
    return canvas
