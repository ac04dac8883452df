"""Which component of a drawing style each pixel of a figure shows."""

import io
import re
from xml.etree import ElementTree

import cv2
import numpy as np
import resvg_py
from PIL import Image

from facemill.avatars.styles import DrawingStyle
from facemill.data.classes import SEVEN

_CLASSES = {
    "eyes": "eye",
    "eye": "eye",
    "mouth": "mouth",
    "expression": "mouth",
    "hair": "hair",
    "top": "hair",
    "rearHair": "hair",
    "frontHair": "hair",
    "sideburns": "hair",
    "beard": "hair",
    "facialHair": "hair",
    "mustache": "hair",
    "hairAccessories": "hair",
    "ears": "skin",
    "earrings": "skin",
    "neck": "skin",
    "clothes": "clothes",
    "clothing": "clothes",
    "clothesGraphic": "clothes",
    "outfit": "clothes",
    "hat": "clothes",
}
"""The class of each component by its name; others, and what belongs to none, are `face`."""

_SVG = "http://www.w3.org/2000/svg"
_COMPONENT = re.compile(r"([A-Za-z0-9]+)-[A-Za-z0-9]+-[0-9a-f]+$")
_UNPAINTED = {
    f"{{{_SVG}}}{tag}" for tag in ("mask", "clipPath", "linearGradient", "radialGradient", "pattern", "style")
}
_DROPPED = ("opacity", "fill-opacity", "stroke-opacity", "filter", "shape-rendering")


def picture(svg: str, size: int) -> np.ndarray:
    """The figure, uint8 RGBA (size, size, 4)."""
    png = resvg_py.svg_to_bytes(svg_string=svg, width=size, height=size, skip_system_fonts=True)
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))


def over(rgba: np.ndarray, color: tuple[int, int, int] = (255, 255, 255)) -> np.ndarray:
    """The picture over a plain background, uint8 RGB (H, W, 3)."""
    alpha = rgba[..., 3:].astype(np.float32) / 255
    return (rgba[..., :3] * alpha + np.float32(color) * (1 - alpha) + 0.5).astype(np.uint8)


def part_map(svg: str, style: DrawingStyle, size: int) -> np.ndarray:
    """The component that each pixel's center shows, uint8 (size, size).

    0: nothing; 1: the base, what the style draws outside of components; from 2 on: `style.components` in order.

    Args:
        svg: a figure of the style without background, as `style.svg` draws it.
        style: its style.
        size: width and height.
    """
    ids = {name: i for i, name in enumerate(style.components, 2)}
    root = ElementTree.fromstring(svg)
    _paint(root)
    root.set("color", _color(1))
    root.set("fill", root.get("fill", "currentColor"))
    root.set("shape-rendering", "crispEdges")
    for group in root.iterfind(f"{{{_SVG}}}defs/{{{_SVG}}}g"):
        if (match := _COMPONENT.match(group.get("id", ""))) and match[1] in ids:
            group.set("color", _color(ids[match[1]]))
    pixels = picture(ElementTree.tostring(root, encoding="unicode"), size)
    return np.where(pixels[..., 3] >= 128, (pixels[..., 0] & 0xF0) | (pixels[..., 1] >> 4), 0).astype(np.uint8)


def seven_mask(svg: str, style: DrawingStyle, size: int) -> np.ndarray:
    """The class of each pixel, ids of `SEVEN`, uint8 (size, size); arguments as those of `part_map`."""
    return _class_ids(style)[part_map(svg, style, size)]


def _class_ids(style: DrawingStyle) -> np.ndarray:
    names = ["background", "face", *(_CLASSES.get(name, "face") for name in style.components)]
    return np.array([SEVEN.names.index(name) for name in names], np.uint8)


def _color(part: int) -> str:
    """The color of a part: four bits in red and four in green, each in the middle of its range."""
    return f"#{(part & 0xF0) | 8:02x}{(part & 0x0F) << 4 | 8:02x}00"


def _paint(element: ElementTree.Element) -> None:
    """Gives all that is drawn, but for masks and gradients, the current color, opaque."""
    if element.tag in _UNPAINTED:
        return
    for name in _DROPPED:
        element.attrib.pop(name, None)
    if "mask-type" not in element.get("style", ""):
        element.attrib.pop("style", None)
    for name in ("fill", "stroke"):
        if element.get(name, "none") != "none":
            element.set(name, "currentColor")
    for child in element:
        _paint(child)
