"""Colors of avatars: a portrait's, and what a drawing must be asked for so that it shows them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from facemill.imaging.colors import Lab, difference
from facemill.imaging.palettes import rgb

UNCORRECTED = ("eye",)
"""Regions whose colors are given as they are: what styles color in eyes, iris or outline, is not what fills them."""

LEAST_CONTRAST = 20
"""Difference in L* of eyes and skin below which eyes keep the style's color, so that they are seen."""


@dataclass(frozen=True)
class Color:
    """A color of an avatar beside that of the portrait."""

    asked: str
    """The portrait's, as hex; the nearest that sRGB has."""
    given: str
    """What the style was given, as hex, so that it shows the portrait's."""
    rendered: str | None
    """The median of the region as it was drawn, as hex; None for `UNCORRECTED`, and where nothing of it shows."""
    difference: float | None
    """CIEDE2000 between the portrait's and the drawn color; None where that is."""


def hex_color(lab: Lab) -> str:
    """A CIELAB color as hex, such as `#a0b1c2`; clipped to what sRGB has."""
    pixel = cv2.cvtColor(np.array([[lab]], np.float32), cv2.COLOR_LAB2RGB)
    red, green, blue = np.rint(pixel[0, 0] * 255).astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}"


def lab_color(color: str) -> Lab:
    """A hex color in CIELAB."""
    return cv2.cvtColor(np.array([[rgb(color)]], np.float32), cv2.COLOR_RGB2LAB)[0, 0]


def asked_of(style_regions: Iterable[str], colors: Mapping[str, Lab]) -> dict[str, Lab]:
    """The colors of a portrait that a style is asked for, by region: those that it has, and that would be seen."""
    asked = {region: colors[region] for region in style_regions if region in colors}
    if "eye" in asked and "skin" in colors and abs(asked["eye"][0] - colors["skin"][0]) < LEAST_CONTRAST:
        del asked["eye"]
    return asked


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
        shown = None if region in UNCORRECTED else rendered[region]
        seen = (None, None) if shown is None else (hex_color(shown), difference(lab, shown))
        colors[region] = Color(hex_color(lab), given[region], *seen)
    return colors
