"""Flicker of a film's translation: how much it changes from frame to frame where the film itself is still."""

from typing import NamedTuple

import numpy as np

STILL = 8
"""Of 255: a pixel whose channels all change by at most this from one frame to the next is still."""


class Figures(NamedTuple):
    """The flicker of a film and of its translation."""

    film: float
    """Mean change of still pixels from frame to frame, of 255."""
    translation: float
    """The same of the translation, at the pixels that are still in the film."""
    still: float
    """Share of pixels that are still; 0 when there is no flicker to tell."""


class Flicker:
    """Sums up the flicker of a film and of its translation, frame by frame."""

    def __init__(self) -> None:
        self._last: np.ndarray | None = None
        self._sums, self._still, self._pixels = np.zeros(2), 0, 0

    def add(self, pixels: np.ndarray, translated: np.ndarray | None) -> None:
        """Adds the next frame and its translation, both uint8 RGB (H, W, 3); without one it has no neighbors."""
        pair = None if translated is None else np.stack([pixels, translated]).astype(np.int16)
        if pair is not None and self._last is not None:
            changes = np.abs(pair - self._last)
            still = changes[0].max(-1) <= STILL
            self._sums += changes[:, still].mean(-1).sum(-1)
            self._still += int(still.sum())
            self._pixels += still.size
        self._last = pair

    def figures(self) -> Figures:
        """The flicker of all neighboring frames."""
        film, translation = self._sums / max(1, self._still)
        return Figures(float(film), float(translation), self._still / max(1, self._pixels))

    def __str__(self) -> str:
        film, translation, still = self.figures()
        if not still:
            return "no pixel is still in neighboring frames, so that flicker cannot be told"
        return f"flicker where the film is still ({still:.0%}): {film:.2f} in it, {translation:.2f} translated, of 255"
