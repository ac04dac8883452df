"""Portraits drawn at random, each with its exact mask: the figures of the embedded sample.

The drawings are remixes of "ToonHead" by Johan Melin, https://www.figma.com/community/file/1589627891082866389,
licensed under CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/), in DiceBear's form
(https://www.dicebear.com/styles/toon-head).
"""

import colorsys
import io
import json
import random
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import cv2
import numpy as np
import resvg_py
from dicebear import Avatar, Style
from PIL import Image

from facemill.data.classes import CLASSES

CANVAS = 768  # width and height of the style's canvas, the unit of all coordinates here

FINE_LABELS = {
    "background": "background",
    "rearHair": "hair",
    "body": "body",
    "head": "face",
    "ears": "ear",
    "clothes": "clothes",
    "mouth": "mouth",
    "beard": "hair",
    "eyes": "eye",
    "eyebrows": "eyebrow",
    "hair": "hair",
}
"""The fine label of each part of a drawing, in drawing order; a part's place here is its id in a map of parts."""

_CLASS_OF_LABEL = {"body": "skin", "ear": "skin", "eyebrow": "face"}
CLASS_OF_PART = np.array([CLASSES.index(_CLASS_OF_LABEL.get(label, label)) for label in FINE_LABELS.values()], np.uint8)
"""The class id of each part id."""

HAIR_COLORS = {
    "black_hair": "#2a262d",
    "brown_hair": "#7a4a2e",
    "blonde_hair": "#e8cc7a",
    "red_hair": "#b0302c",
    "pink_hair": "#ee9ac0",
    "purple_hair": "#7d55b0",
    "blue_hair": "#3f6fc4",
    "green_hair": "#4c9c62",
    "grey_hair": "#c3c6cf",
}
"""The hair colors by Danbooru tag; a portrait's own differs a little."""

_SKIN_COLORS = ("#fbe3d3", "#f7d3bb", "#f1c3a5", "#e0ac8c", "#c68e7a", "#b98e6a", "#a36b4f", "#7d5038")

_TAGS = {  # what a variant of a part shows, in Danbooru's words
    "rearHair:none": ["short_hair"],
    "rearHair:neckHigh": ["short_hair", "bob_cut"],
    "rearHair:shoulderHigh": ["medium_hair"],
    "rearHair:longStraight": ["long_hair", "straight_hair"],
    "rearHair:longWavy": ["long_hair", "wavy_hair"],
    "hair:bun": ["hair_bun"],
    "hair:sideComed": ["swept_bangs"],
    "hair:spiky": ["spiked_hair"],
    "hair:undercut": ["undercut"],
    "beard:chin": ["facial_hair", "goatee"],
    "beard:chinMoustache": ["facial_hair", "goatee", "mustache"],
    "beard:fullBeard": ["facial_hair", "beard"],
    "beard:longBeard": ["facial_hair", "beard", "long_beard"],
    "beard:moustacheTwirl": ["facial_hair", "mustache"],
    "eyes:happy": ["brown_eyes"],
    "eyes:wide": ["brown_eyes", "wide-eyed"],
    "eyes:wink": ["brown_eyes", "one_eye_closed"],
    "eyebrows:angry": ["v-shaped_eyebrows"],
    "eyebrows:raised": ["raised_eyebrows"],
    "mouth:agape": ["open_mouth"],
    "mouth:angry": ["open_mouth", "clenched_teeth", "angry"],
    "mouth:laugh": ["open_mouth", "smile", "teeth"],
    "mouth:sad": ["closed_mouth", "frown"],
    "mouth:smile": ["closed_mouth", "smile"],
    "clothes:dress": ["dress"],
    "clothes:openJacket": ["jacket", "open_jacket"],
    "clothes:shirt": ["shirt", "collared_shirt"],
    "clothes:tShirt": ["t-shirt"],
    "clothes:turtleNeck": ["turtleneck", "sweater"],
    "background:plain": ["simple_background"],
    "background:gradient": ["gradient_background"],
    "background:stripes": ["striped_background"],
    "background:dots": ["polka_dot_background"],
}

_EYES = ("happy", "wide", "wink")  # the style's other eyes are closed: two lines of a pixel in a small picture
_ENLARGED = {"eyes": (1.2, 1.5), "mouth": (1.4, 1.4)}  # to the proportions that anime has
_SMALL_PARTS = [list(FINE_LABELS).index(part) for part in ("mouth", "eyes")]
_OUTLINE = 5  # width of the figure's lines, so that they are seen in small pictures
_EARS = "M-40 250H42V420H-40ZM353 250H440V420H353Z"  # the two ends of the head's shape that are ears


@dataclass(frozen=True)
class Drawing:
    """One portrait."""

    picture: str
    """SVG of the portrait."""
    parts: str
    """SVG of the same shapes, each opaque and with its part's id as its red value."""
    tags: list[str]
    """What it shows in Danbooru's tags, sorted."""

    def image(self, size: int) -> bytes:
        """The portrait as a PNG file, size x size."""
        return resvg_py.svg_to_bytes(svg_string=self.picture, width=size, height=size, skip_system_fonts=True)

    def part_ids(self, size: int) -> np.ndarray:
        """The id of the part that is seen at each pixel's center, less specks: uint8 (size, size)."""
        png = resvg_py.svg_to_bytes(
            svg_string=self.parts, width=size, height=size, skip_system_fonts=True, shape_rendering="crisp_edges"
        )
        return _without_specks(np.asarray(Image.open(io.BytesIO(png)))[..., 0])


def _without_specks(parts: np.ndarray) -> np.ndarray:
    """Gives pieces of less than 1/4096 of the picture to what is nearest: bits of an outline that look out from under
    another one. Mouths and eyes may be that small."""
    speck = np.zeros_like(parts)
    for part in np.unique(parts):
        if part not in _SMALL_PARTS:
            _, pieces, sizes, _ = cv2.connectedComponentsWithStats((parts == part).astype(np.uint8), connectivity=8)
            areas = sizes[:, cv2.CC_STAT_AREA]
            speck |= ((pieces > 0) & (areas < parts.size / 4096)[pieces]).astype(np.uint8)
    _, nearest = cv2.distanceTransformWithLabels(speck, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    values = np.zeros(nearest.max() + 1, np.uint8)
    values[nearest[speck == 0]] = parts[speck == 0]
    return values[nearest]


def draw(id: int, seed: int) -> Drawing:
    """The portrait with this id: its parts, colors, background and place are drawn with both numbers."""
    rng = random.Random(f"{seed}:{id}")
    hair_name, girl = rng.choice(list(HAIR_COLORS)), rng.random() < 0.7
    hair, skin = _near(rng, HAIR_COLORS[hair_name], 0.03), _near(rng, rng.choice(_SKIN_COLORS), 0.04)
    clothes = _any_color(rng)
    variants = _choose_variants(rng, girl)
    layers = _layers(variants, hair, skin, clothes)
    kind, background = _background(rng, [hair, skin, clothes])
    place = _place(rng)
    flat = {part: _paint(layer, part) for part, layer in layers.items()}
    flat["head"] += _paint(_ears(layers["head"]), "ears")
    black = f'<rect width="{CANVAS}" height="{CANVAS}" fill="#000000"/>'
    tags = {hair_name, "1girl" if girl else "1boy"}
    for part, variant in (variants | {"background": kind}).items():
        tags.update(_TAGS.get(f"{part}:{variant}", []))
    return Drawing(_svg(background, place, layers), _svg(black, place, flat), sorted(tags))


def _choose_variants(rng: random.Random, girl: bool) -> dict[str, str]:
    """A variant for each component of the style; rear hair and beard may be `none`."""
    components = _definition()["components"]
    variants = {name: rng.choice(sorted(component["variants"])) for name, component in components.items()}
    variants["eyes"] = rng.choice(_EYES)
    if rng.random() > (0.85 if girl else 0.15):
        variants["rearHair"] = "none"
    if girl or rng.random() > 0.35:
        variants["beard"] = "none"
    return variants


@cache
def _definition() -> dict:
    return json.loads(files("dicebear_styles").joinpath("toon-head.json").read_text())


@cache
def _style() -> Style:
    return Style(_definition())


def _layers(variants: dict[str, str], hair: str, skin: str, clothes: str) -> dict[str, str]:
    """The components of a figure, each an SVG group in its place on the canvas, in drawing order."""
    options: dict = {"seed": "", "hairColor": [hair], "skinColor": [skin], "clothesColor": [clothes]}
    for name, variant in variants.items():
        options[f"{name}Probability"] = 0 if variant == "none" else 100
        if variant != "none":
            options[f"{name}Variant"] = variant
    svg = str(Avatar(_style(), options))  # <defs> with a <g id="component-..."> each, then a <use> of each
    shapes = {name: rest for name, rest in re.findall(r'<g id="([^-"]+)-[^"]*"(.*?)(?=<g id="|<clipPath )', svg, re.S)}
    uses = re.findall(r'<use transform="([^"]*)" href="#([^-"]+)-', svg)
    return {name: f'<g transform="{place}{_enlarged(name)}"{shapes[name]}' for place, name in uses}


def _enlarged(name: str) -> str:
    """The transform that enlarges a component about its middle, where the figures' eyes and mouths are drawn larger."""
    if name not in _ENLARGED:
        return ""
    component, (x, y) = _definition()["components"][name], _ENLARGED[name]
    left, top = component["width"] / 2, component["height"] / 2
    return f" translate({left} {top}) scale({x} {y}) translate({-left} {-top})"


def _ears(head: str) -> str:
    """The two ends of the head's layer that are ears, to be drawn over it."""
    place, shapes = re.fullmatch(r"(<g [^>]*>)(.*)</g>", head, re.S).groups()
    return f'{place}<clipPath id="e"><path d="{_EARS}"/></clipPath><g clip-path="url(#e)">{shapes}</g></g>'


def _paint(layer: str, part: str) -> str:
    """The layer with everything it draws, outlines too, opaque and in the red of the part's id."""
    color = f"#{list(FINE_LABELS).index(part):02x}0000"
    layer = re.sub(r'fill-opacity="[^"]*"', "", layer)
    return re.sub(r'(fill|stroke)="(?!none)[^"]*"', rf'\1="{color}"', layer)


def _svg(background: str, place: str, layers: dict[str, str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {CANVAS} {CANVAS}" fill="none">{background}'
        f'<g stroke-width="{_OUTLINE}" transform="{place}">{"".join(layers.values())}</g></svg>'
    )


def _place(rng: random.Random) -> str:
    """A transform that turns, scales, shifts and maybe mirrors the figure, which still reaches the lower edge."""
    center = CANVAS / 2
    angle, scale, mirror = rng.uniform(-10, 10), rng.uniform(1.12, 1.27), rng.choice([-1, 1])
    x, y = center + rng.uniform(-50, 50), center + rng.uniform(-10, 40)
    return (
        f"translate({x:.1f} {y:.1f}) rotate({angle:.2f}) scale({mirror * scale:.4f} {scale:.4f}) "
        f"translate({-center} {-center})"
    )


def _background(rng: random.Random, figure: list[str]) -> tuple[str, str]:
    """The kind of a background and its SVG; its colors keep off the figure's, so that an eye can part them."""

    def color() -> str:
        while True:
            found = _any_color(rng)
            if all(sum((a - b) ** 2 for a, b in zip(_rgb(found), _rgb(c), strict=True)) > 0.05 for c in figure):
                return found

    kind = rng.choice(["plain", "plain", "gradient", "stripes", "dots"])
    first, second, angle, step = color(), color(), rng.randrange(360), rng.uniform(80, 160)
    cover = f'<rect width="{CANVAS}" height="{CANVAS}" fill="{{}}"/>'.format
    turn = f"rotate({angle} {CANVAS / 2} {CANVAS / 2})"
    if kind == "gradient":
        return kind, _gradient([(0, first), (1, second)], CANVAS, turn) + cover("url(#b)")
    if kind == "stripes":  # a gradient with a sharp edge
        return kind, _gradient([(0.47, first), (0.53, second)], step / 2, turn) + cover("url(#b)")
    dots = f'<g fill="{second}" transform="{turn}">{_dots(step)}</g>' if kind == "dots" else ""
    return kind, cover(first) + dots


def _gradient(stops: list[tuple[float, str]], length: float, turn: str) -> str:
    """An SVG gradient with the id `b` that goes forth and back along its length."""
    return (
        f'<linearGradient id="b" gradientUnits="userSpaceOnUse" x2="{length:.1f}" spreadMethod="reflect" '
        f'gradientTransform="{turn}">'
        + "".join(f'<stop offset="{at}" stop-color="{color}"/>' for at, color in stops)
        + "</linearGradient>"
    )


def _dots(step: float) -> str:
    """SVG circles on a square grid that covers the canvas however it is turned."""
    places = np.arange(-0.25 * CANVAS, 1.25 * CANVAS, step)
    return "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{step / 4:.1f}"/>' for x in places for y in places)


def _hex(rgb: tuple[float, ...]) -> str:
    return "#" + "".join(f"{round(255 * min(max(channel, 0), 1)):02x}" for channel in rgb)


def _rgb(color: str) -> tuple[float, ...]:
    return tuple(int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))


def _near(rng: random.Random, color: str, spread: float) -> str:
    """A color a little lighter or darker than the given one, and a little off it."""
    light = rng.uniform(-spread, spread)
    return _hex(tuple(channel + light + rng.uniform(-spread, spread) / 2 for channel in _rgb(color)))


def _any_color(rng: random.Random) -> str:
    return _hex(colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.05, 0.85), rng.uniform(0.25, 1)))
