"""Colors of avatars: a portrait's, and what a drawing must be asked for so that it shows them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from skimage.color import lab2rgb, rgb2lab

from facemill.imaging.colors import Lab, difference
from facemill.imaging.palettes import rgb


@dataclass(frozen=True)
class Color:
    """A color of an avatar beside that of the portrait."""

    asked: str
    """The portrait's, as hex; the nearest that sRGB has."""
    given: str
    """What the style was given, as hex, so that it shows the portrait's."""
    rendered: str | None
    """The median of the region as it was drawn, as hex; None where nothing of it shows."""
    difference: float | None
    """CIEDE2000 between the portrait's and the drawn color; None where nothing of it shows."""


def hex_color(lab: Lab) -> str:
    """A CIELAB color as hex, such as `#a0b1c2`; clipped to what sRGB has."""
    red, green, blue = np.rint(lab2rgb(np.asarray(lab, np.float64)) * 255).astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}"


def lab_color(color: str) -> Lab:
    """A hex color in CIELAB."""
    return rgb2lab(rgb(color)).astype(np.float32)


def corrected(given: str, asked: Lab, rendered: Lab) -> str:
    """The color to give a style that, given another, drew a third: shading and outlines shift all colors alike.

    Args:
        given: what the style was given, as hex.
        asked: what it should show.
        rendered: what it showed.
    """
    return hex_color(lab_color(given) + asked - rendered)


def compared(
    asked: Mapping[str, Lab], given: Mapping[str, str], rendered: Mapping[str, Lab | None]
) -> dict[str, Color]:
    """Each region's color: the portrait's, what the style was given, and what it drew."""
    colors = {}
    for region, lab in asked.items():
        shown = rendered[region]
        colors[region] = Color(
            hex_color(lab),
            given[region],
            None if shown is None else hex_color(shown),
            None if shown is None else difference(lab, shown),
        )
    return colors
