"""What the actors of the sample's films do: expressions and poses of every frame, and the sound that goes with them."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Literal

import numpy as np

from facemill.ingest.backgrounds import CANVAS
from facemill.ingest.drawing import EYES
from facemill.ingest.toon_head import definition, pose

TIME_BASE = Fraction(1, 60)
SOUND_RATE = 48000
"""Samples a second."""

MOUTHS = {"sad": 0.0, "smile": 0.0, "angry": 0.45, "laugh": 0.7, "agape": 1.0}
"""How far each mouth is open."""

Film = Literal["a", "b"]
Shown = Literal["actor", "actor and passer", "nobody", "black"]
FIGURES: dict[Shown, int] = {"actor": 1, "actor and passer": 2, "nobody": 0, "black": 0}
"""How many figures a frame shows."""

_SHOWN: dict[Film, list[tuple[float, float, Shown]]] = {  # from, to (shares of the frames): what else is shown there
    "a": [(0.8, 0.83, "nobody"), (0.9, 0.9, "black")],
    "b": [(0.4, 0.425, "nobody"), (0.7, 0.8, "actor and passer")],
}
_ACTS = [  # of film a, until which share of the frames: eyes, eyebrows, mouth
    (0.2, ("happy", "neutral", "sad")),
    (0.3, ("happy", "neutral", "smile")),
    (0.4, ("happy", "neutral", "agape")),
    (0.45, ("wink", "neutral", "smile")),
    (0.6, ("happy", "neutral", "smile")),
]
_TURN, _PLAY = 0.45, 0.6  # where the turn begins, and where the acts end


@dataclass(frozen=True)
class Moment:
    """What a frame shows."""

    ticks: int
    """Its time in units of `TIME_BASE`."""
    expression: dict[str, str]
    """The variants of eyes, eyebrows and mouth."""
    pose: str
    """A transform of SVG."""
    shown: Shown
    passer: str
    """Pose of the other figure."""


def script(film: Film, frames: int, seed: int) -> list[Moment]:
    """The moments of a film; all that happens there lasts longer with more frames.

    There are 12 frames a second, in the second half of film b 15.
    """
    rng = random.Random(f"film:{seed}:{film}")
    eyebrows = sorted(definition()["components"]["eyebrows"]["variants"])
    expressions = [(eyes, rng.choice(eyebrows), mouth) for eyes, mouth in product(EYES, MOUTHS)]
    rng.shuffle(expressions)
    phases = [rng.random() for _ in range(4)]
    moments, ticks = [], 0
    for number in range(frames):
        share = number / frames
        act = next((act for end, act in _ACTS if share < end), None) if film == "a" else None
        varied = expressions[int(share * (30 if film == "a" else 15)) % 15]
        expression = dict(zip(("eyes", "eyebrows", "mouth"), act or varied, strict=True))
        seconds = float(ticks * TIME_BASE)
        where = _act(share, seconds) if act else _move(seconds, phases)
        moments.append(Moment(ticks, expression, where, _shown(film, number, frames), _pass(share)))
        ticks += 4 if film == "b" and share >= 0.5 else 5
    return moments


def _shown(film: Film, number: int, frames: int) -> Shown:
    for start, end, shown in _SHOWN[film]:
        first = math.ceil(start * frames)
        if first <= number < max(math.ceil(end * frames), first + 1):
            return shown
    return "actor"


def _move(seconds: float, phases: Sequence[float]) -> str:
    """A pose that drifts: up to 12 degrees, from 1.04 to 1.2 times the size."""
    periods = (3.1, 4.7, 5.3, 3.7)  # in seconds
    turn, zoom, right, down = (
        math.sin(math.tau * (seconds / period + phase)) for period, phase in zip(periods, phases, strict=True)
    )
    return pose(CANVAS / 2 + 40 * right, CANVAS / 2 + 30 + 15 * down, 12 * turn, 1.12 + 0.08 * zoom)


def _act(share: float, seconds: float) -> str:
    """The pose of somebody who only breathes; then a turn to both sides."""
    breath = math.sin(math.tau * seconds / 3)
    turn = math.sin(math.tau * max(share - _TURN, 0) / (_PLAY - _TURN))
    return pose(CANVAS / 2 + breath, CANVAS / 2 + 20 + 2 * breath, 1 + 0.2 * breath + 11 * turn, 1.12)


def _pass(share: float) -> str:
    """The pose of somebody smaller who comes from the right and goes again, in the stretch of film b."""
    start, end, _ = _SHOWN["b"][1]
    inside = math.sin(math.pi * min(max((share - start) / (end - start), 0), 1))
    return pose(CANVAS * (0.97 - 0.09 * inside), CANVAS * 0.72, 0, 0.56)


def tone(moments: Sequence[Moment]) -> np.ndarray:
    """A tone that is louder and higher the wider the mouth is open, and silent where there is no actor.

    Returns:
        float32 (N,) in -1 to 1, `SOUND_RATE` samples a second, as long as the film.
    """
    ticks = [moment.ticks for moment in moments]
    times = np.array([*ticks, 2 * ticks[-1] - ticks[-2]]) * float(TIME_BASE)
    open_by = [MOUTHS[moment.expression["mouth"]] if FIGURES[moment.shown] else 0.0 for moment in moments]
    samples = np.diff(np.rint(times * SOUND_RATE).astype(int))
    level = np.repeat(open_by, samples)
    soft = np.convolve(level, np.full(480, 1 / 480), "same")  # 10 ms, without clicks
    phase = np.cumsum(220 + 220 * level) / SOUND_RATE
    return (0.3 * soft * np.sin(math.tau * phase)).astype(np.float32)
