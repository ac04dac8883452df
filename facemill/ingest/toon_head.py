"""Drawn figures in the style ToonHead, each with its exact map of parts.

The drawings are remixes of "ToonHead" by Johan Melin, https://www.figma.com/community/file/1589627891082866389,
licensed under CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/), in DiceBear's form
(https://www.dicebear.com/styles/toon-head).
"""

import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import cv2
import numpy as np
import resvg_py
from dicebear import Avatar, Style
from PIL import Image

from facemill.ingest.backgrounds import CANVAS

LABELS = {
    "background": "background",
    "rearHair": "hair",
    "body": "body",
    "head": "face",
    "ears": "ear",
    "clothes": "clothes",
    "mouth": "mouth",
    "beard": "hair",
    "eyes": "eyelash",
    "eyebrows": "eyebrow",
    "hair": "hair",
    "nose": "nose",
    "eyeballs": "eyeball",
    "pupils": "pupil",
}
"""The label of each part of a drawing; a part's index is its id in a map of parts.

First the components of the style in drawing order, then details of two of them (`_COMPONENT_OF_DETAIL`). A pupil
includes its iris: the style draws both as one disc. It draws no glasses, hands and hair accessories.
"""

_COMPONENT_OF_DETAIL = {"nose": "head", "eyeballs": "eyes", "pupils": "eyes"}
PART_IDS = {part: i for i, part in enumerate(LABELS)}
"""The id of each part by its name."""

COMPONENT_IDS = np.array([PART_IDS[_COMPONENT_OF_DETAIL.get(part, part)] for part in LABELS], np.uint8)
"""The id of the component of each part id: a component's own id, or for a detail that of the component around it."""

_SMALL_COMPONENTS = (PART_IDS["mouth"], PART_IDS["eyes"])
_EARS = "M-40 250H42V420H-40ZM353 250H440V420H353Z"  # the two ends of the head's shape that are ears
_EYEBALL_FILL = 'fill="#F6F1E4"'  # the white of the style's eyes; their discs are pupils, other shapes are lashes


@dataclass(frozen=True)
class Hand:
    """A manner of drawing."""

    enlarged: dict[str, tuple[float, float]]
    """Components that are drawn larger or smaller, with the factors of their widths and heights."""
    line_width: float
    """Of outlines."""
    white: float
    """The share of white in every color."""


HAND = Hand({"eyes": (1.2, 1.5), "mouth": (1.4, 1.4)}, line_width=5, white=0)
"""Anime's proportions, and lines that are visible in small pictures."""

OTHER_HAND = Hand({"eyes": (1.75, 2.1), "mouth": (1.0, 1.0)}, line_width=0, white=0.35)
"""Larger eyes, a smaller mouth, pale colors, no outlines."""


@dataclass(frozen=True)
class Figure:
    """A person: the variant of each component of the style, and three colors."""

    variants: dict[str, str]
    """`none` for a component that is not shown."""
    hair: str
    skin: str
    clothes: str


@dataclass(frozen=True)
class Scene:
    """A drawn picture."""

    picture: str
    """SVG of the picture."""
    parts: str
    """SVG of the same shapes, each opaque and with its part's id as its red value."""

    def image(self, size: int) -> bytes:
        """The picture as a PNG file, size x size."""
        return resvg_py.svg_to_bytes(svg_string=self.picture, width=size, height=size, skip_system_fonts=True)

    def part_ids(self, size: int) -> np.ndarray:
        """The id of the visible part at each pixel's center, without specks: uint8 (size, size)."""
        png = resvg_py.svg_to_bytes(
            svg_string=self.parts, width=size, height=size, skip_system_fonts=True, shape_rendering="crisp_edges"
        )
        return _without_specks(np.asarray(Image.open(io.BytesIO(png)))[..., 0])


def scene(background: str, figures: Sequence[tuple[Figure, str]], hand: Hand = HAND) -> Scene:
    """Figures, each with its pose (a transform of SVG), on a background (SVG), later ones over earlier ones."""
    layers = [(_layers(figure, hand), place) for figure, place in figures]
    flat = [(_flat(shapes), place) for shapes, place in layers]
    black = f'<rect width="{CANVAS}" height="{CANVAS}" fill="#000000"/>'
    pale = (
        f'<rect width="{CANVAS}" height="{CANVAS}" fill="#ffffff" fill-opacity="{hand.white}"/>' if hand.white else ""
    )
    return Scene(_svg(background, layers, hand, pale), _svg(black, flat, hand))


def pose(x: float, y: float, angle: float, scale: float, mirror: int = 1) -> str:
    """A transform that turns and scales a figure about its middle, which comes to (x, y), and mirrors it for -1."""
    center = CANVAS / 2
    return (
        f"translate({x:.1f} {y:.1f}) rotate({angle:.2f}) scale({mirror * scale:.4f} {scale:.4f}) "
        f"translate({-center} {-center})"
    )


def _without_specks(parts: np.ndarray) -> np.ndarray:
    """Fills regions below 1/4096 of the picture, bits of an outline under another one, from the nearest pixels.

    Regions are those of components; mouths and eyes may be that small, details of any size stay.
    """
    components = COMPONENT_IDS[parts]
    specks = np.zeros_like(parts)
    for component in np.unique(components):
        if component not in _SMALL_COMPONENTS:
            region = (components == component).astype(np.uint8)
            _, pieces, stats, _ = cv2.connectedComponentsWithStats(region, connectivity=8)
            small = stats[:, cv2.CC_STAT_AREA] < parts.size / 4096
            specks |= ((pieces > 0) & small[pieces]).astype(np.uint8)
    _, nearest = cv2.distanceTransformWithLabels(specks, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    values = np.zeros(nearest.max() + 1, np.uint8)
    values[nearest[specks == 0]] = parts[specks == 0]
    return values[nearest]


@cache
def definition() -> dict:
    """The style as DiceBear defines it."""
    return json.loads(files("dicebear_styles").joinpath("toon-head.json").read_text())


@cache
def _style() -> Style:
    return Style(definition())


def _layers(figure: Figure, hand: Hand) -> dict[str, str]:
    """The components of a figure, each a positioned SVG group, in drawing order."""
    options: dict = {"seed": ""}
    for name in ("hair", "skin", "clothes"):
        options[f"{name}Color"] = [getattr(figure, name)]
    for name, variant in figure.variants.items():
        options[f"{name}Probability"] = 0 if variant == "none" else 100
        if variant != "none":
            options[f"{name}Variant"] = variant
    svg = str(Avatar(_style(), options))  # <defs> with a <g id="component-..."> each, then a <use> of each
    shapes = {name: rest for name, rest in re.findall(r'<g id="([^-"]+)-[^"]*"(.*?)(?=<g id="|<clipPath )', svg, re.S)}
    uses = re.findall(r'<use transform="([^"]*)" href="#([^-"]+)-', svg)
    return {name: f'<g transform="{position}{_enlarged(name, hand)}"{shapes[name]}' for position, name in uses}


def _enlarged(name: str, hand: Hand) -> str:
    """The transform that enlarges a component about its middle, where it is drawn larger or smaller."""
    if name not in hand.enlarged:
        return ""
    component, (x, y) = definition()["components"][name], hand.enlarged[name]
    left, top = component["width"] / 2, component["height"] / 2
    return f" translate({left} {top}) scale({x} {y}) translate({-left} {-top})"


def _flat(layers: dict[str, str]) -> dict[str, str]:
    """The layers of a figure in the reds of their parts' ids."""
    flat = {part: _flatten(layer, part) for part, layer in layers.items()}
    flat["head"] += _flatten(_ears(layers["head"]), "ears") + _flatten(_nose(layers["head"]), "nose")
    flat["eyes"] = _flatten_eyes(layers["eyes"])
    return flat


def _ears(head: str) -> str:
    """The two ends of the head's layer that are ears, to be drawn over it."""
    group, shapes = _split_group(head)
    return f'{group}<clipPath id="e"><path d="{_EARS}"/></clipPath><g clip-path="url(#e)">{shapes}</g></g>'


def _nose(head: str) -> str:
    """The nose, to be drawn over the head's layer: the last outline of the layer's shadows."""
    group, shapes = _split_group(head)
    outline = re.findall(r'd="[^"]*(M[^M"]*)"', shapes)[-1]
    return f'{group}<path d="{outline}" fill="black"/></g>'


def _split_group(layer: str) -> tuple[str, str]:
    """The opening tag of a layer's group, and what is in the group."""
    group, _, shapes = layer.removesuffix("</g>").partition(">")
    return f"{group}>", shapes


def _flatten(svg: str, part: str) -> str:
    """The SVG with everything it draws, outlines too, opaque and in the red of the part's id."""
    color = f"#{PART_IDS[part]:02x}0000"
    svg = re.sub(r'fill-opacity="[^"]*"', "", svg)
    return re.sub(r'(fill|stroke)="(?!none)[^"]*"', rf'\1="{color}"', svg)


def _flatten_eyes(eyes: str) -> str:
    """The eyes' layer in the red of the ids of lashes (`eyes`), eyeballs and pupils."""

    def flat(shape: re.Match[str]) -> str:
        disc, white = shape[0].startswith("<circle"), _EYEBALL_FILL in shape[0]
        return _flatten(shape[0], "pupils" if disc else "eyeballs" if white else "eyes")

    return re.sub("<(?:path|circle)[^>]*>", flat, eyes)


def _svg(background: str, figures: Sequence[tuple[dict[str, str], str]], hand: Hand, cover: str = "") -> str:
    line = f'stroke-width="{hand.line_width}"'
    shapes = [f'<g {line} transform="{at}">{"".join(svg.values())}</g>' for svg, at in figures]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {CANVAS} {CANVAS}" fill="none">{background}'
        f"{''.join(shapes)}{cover}</svg>"
    )
