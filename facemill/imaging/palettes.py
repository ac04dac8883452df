"""Palettes: names of colors and the typical colors of each, in CIELAB."""

from collections.abc import Mapping, Sequence

import numpy as np
from skimage.color import deltaE_ciede2000, rgb2lab

from facemill.imaging.colors import Lab

TEMPERATURE = 5.0
"""CIEDE2000 difference that divides a name's probability by e."""

Palette = dict[str, np.ndarray]
"""For each name its typical colors: float (K, 3) in CIELAB."""


def lab_palette(hex_colors: Mapping[str, Sequence[str]]) -> Palette:
    """A palette of the config (name: hex colors) in CIELAB."""
    return {name: rgb2lab([rgb(color) for color in colors]) for name, colors in hex_colors.items()}


def rgb(color: str) -> tuple[float, float, float]:
    """A hex color such as `#a0b1c2` as red, green and blue from 0 to 1."""
    red, green, blue = bytes.fromhex(color[1:])
    return red / 255, green / 255, blue / 255


def probabilities(color: Lab, palette: Palette) -> np.ndarray:
    """The probability of each name of the palette, (names,): a softmax over minus CIEDE2000 / `TEMPERATURE`.

    The distance of a name is that of the nearest of its typical colors.
    """
    starts = np.cumsum([0, *map(len, palette.values())])[:-1]
    distances = np.minimum.reduceat(deltaE_ciede2000(color[None], np.concatenate([*palette.values()])), starts)
    weights = np.exp((distances.min() - distances) / TEMPERATURE)
    return weights / weights.sum()
