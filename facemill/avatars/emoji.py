"""The style `emoji`, our own: faces of 5 shapes, 5 pairs of eyes and 5 mouths, 125 in all.

Also the example of how to write a style of one's own. A definition names colors and components; each component has
variants of SVG elements, and the canvas says where the components lie. Names count: parts are matched by them.
"""

from typing import Any

Element = dict[str, Any]
"""An SVG element in DiceBear's form."""

_INK: Element = {"type": "color", "name": "ink"}
_SKIN: Element = {"type": "color", "name": "skin"}
_LINE = {"fill": "none", "stroke": _INK, "stroke-width": "4", "stroke-linecap": "round", "stroke-linejoin": "round"}

_FACES = {  # outlines on 100 x 100
    "circle": "M50 4a46 46 0 1 1 0 92a46 46 0 1 1 0 -92Z",
    "oval": "M50 2c24 0 38 18 38 44c0 30 -16 52 -38 52s-38 -22 -38 -52c0 -26 14 -44 38 -44Z",
    "square": "M24 8h52c12 0 18 6 18 18v48c0 12 -6 18 -18 18h-52c-12 0 -18 -6 -18 -18v-48c0 -12 6 -18 18 -18Z",
    "wide": "M50 16c34 0 48 14 48 34s-14 36 -48 36s-48 -16 -48 -36s14 -34 48 -34Z",
    "heart": "M50 6c26 0 44 14 44 38c0 26 -26 52 -44 54c-18 -2 -44 -28 -44 -54c0 -24 18 -38 44 -38Z",
}


def definition() -> dict[str, Any]:
    """The definition of the style, as DiceBear's schema wants it."""
    return {
        "$schema": "https://cdn.hopjs.net/npm/@dicebear/schema@1.4.0/dist/definition.min.json",
        "meta": {
            "license": {"name": "CC0 1.0", "url": "https://creativecommons.org/publicdomain/zero/1.0/"},
            "creator": {"name": "Facemill"},
            "source": {"name": "Facemill's emoji"},
        },
        "canvas": {
            "width": 100,
            "height": 100,
            "elements": [_component("face", 0, 0), _component("eyes", 22, 32), _component("mouth", 30, 58)],
        },
        "attributes": {"fill": "none"},
        "colors": {
            "skin": {"values": ["#ffcf4a", "#ffb84d", "#f2d3b1", "#c68642", "#8d5524", "#9bd770", "#f06aa8"]},
            "ink": {"values": ["#3b2a1a"]},
        },
        "components": {
            "face": _variants(100, 100, {name: _face(outline) for name, outline in _FACES.items()}),
            "eyes": _variants(56, 22, _eyes()),
            "mouth": _variants(40, 24, _mouths()),
        },
    }


def _face(outline: str) -> list[Element]:
    return [_shape("path", d=outline, fill=_SKIN)]


def _eyes() -> dict[str, list[Element]]:
    """Pairs of eyes on 56 x 22."""
    return {
        "open": [_disc(12, 11, 5.5, 7.5), _disc(44, 11, 5.5, 7.5)],
        "wide": [*_wide(12), *_wide(44)],
        "happy": [
            _line("M3 15c3 -12 15 -12 18 0"),
            _line("M35 15c3 -12 15 -12 18 0"),
        ],
        "closed": [_line("M3 11h18"), _line("M35 11h18")],
        "wink": [_disc(12, 11, 5.5, 7.5), _line("M36 13c4 -5 12 -5 16 0")],
    }


def _wide(x: float) -> list[Element]:
    return [_shape("circle", cx=str(x), cy="11", r="10.5", fill="#ffffff"), _disc(x, 11, 5, 5)]


def _mouths() -> dict[str, list[Element]]:
    """Mouths on 40 x 24."""
    tongue = _shape("path", d="M11 17c4 -5 14 -5 18 0c-4 5 -14 5 -18 0Z", fill="#e8697d")
    return {
        "smile": [_line("M4 6c8 14 24 14 32 0")],
        "laugh": [_shape("path", d="M3 3h34c0 12 -8 19 -17 19s-17 -7 -17 -19Z", fill=_INK), tongue],
        "flat": [_line("M8 12h24")],
        "sad": [_line("M5 18c8 -13 22 -13 30 0")],
        "surprised": [_disc(20, 12, 8, 11)],
    }


def _line(path: str) -> Element:
    return _shape("path", d=path, **_LINE)


def _disc(x: float, y: float, width: float, height: float) -> Element:
    return _shape("ellipse", cx=str(x), cy=str(y), rx=str(width), ry=str(height), fill=_INK)


def _shape(name: str, **attributes: Any) -> Element:
    return {"type": "element", "name": name, "attributes": attributes}


def _component(name: str, x: int, y: int) -> Element:
    return {"type": "component", "name": name, "attributes": {"transform": f"translate({x} {y})"}}


def _variants(width: int, height: int, variants: dict[str, list[Element]]) -> dict[str, Any]:
    return {"width": width, "height": height, "variants": {name: {"elements": of} for name, of in variants.items()}}
