"""Synthetic portraits, each with its exact map of parts: the figures of the embedded sample.

The drawings are remixes of "ToonHead" by Johan Melin, https://www.figma.com/community/file/1589627891082866389,
licensed under CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/), in DiceBear's form
(https://www.dicebear.com/styles/toon-head).
"""

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

from facemill.ingest.backgrounds import CANVAS, draw_background, jitter_color, random_color

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
"""The hair colors by Danbooru tag; a portrait's color is jittered."""

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
_ENLARGED = {"eyes": (1.2, 1.5), "mouth": (1.4, 1.4)}  # to anime's proportions
_SMALL_COMPONENTS = (PART_IDS["mouth"], PART_IDS["eyes"])
_LINE_WIDTH = 5  # of the figure, so that its lines are visible in small pictures
_EARS = "M-40 250H42V420H-40ZM353 250H440V420H353Z"  # the two ends of the head's shape that are ears
_EYEBALL_FILL = 'fill="#F6F1E4"'  # the white of the style's eyes; their discs are pupils, other shapes are lashes


@dataclass(frozen=True)
class Drawing:
    """A synthetic portrait."""

    picture: str
    """SVG of the portrait."""
    parts: str
    """SVG of the same shapes, each opaque and with its part's id as its red value."""
    tags: list[str]
    """Danbooru's tags for it, sorted."""

    def image(self, size: int) -> bytes:
        """The portrait as a PNG file, size x size."""
        return resvg_py.svg_to_bytes(svg_string=self.picture, width=size, height=size, skip_system_fonts=True)

    def part_ids(self, size: int) -> np.ndarray:
        """The id of the visible part at each pixel's center, without specks: uint8 (size, size)."""
        png = resvg_py.svg_to_bytes(
            svg_string=self.parts, width=size, height=size, skip_system_fonts=True, shape_rendering="crisp_edges"
        )
        return _without_specks(np.asarray(Image.open(io.BytesIO(png)))[..., 0])


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


def draw(post_id: int, seed: int) -> Drawing:
    """The portrait of a post: both numbers seed its parts, colors, background and pose."""
    rng = random.Random(f"{seed}:{post_id}")
    hair_name, girl = rng.choice(list(HAIR_COLORS)), rng.random() < 0.7
    hair, skin = jitter_color(rng, HAIR_COLORS[hair_name], 0.03), jitter_color(rng, rng.choice(_SKIN_COLORS), 0.04)
    clothes = random_color(rng)
    variants = _choose_variants(rng, girl)
    layers = _layers(variants, hair, skin, clothes)
    background_kind, background = draw_background(rng, [hair, skin, clothes])
    pose = _pose(rng)
    flat = {part: _flatten(layer, part) for part, layer in layers.items()}
    flat["head"] += _flatten(_ears(layers["head"]), "ears") + _flatten(_nose(layers["head"]), "nose")
    flat["eyes"] = _flatten_eyes(layers["eyes"])
    black = f'<rect width="{CANVAS}" height="{CANVAS}" fill="#000000"/>'
    tags = {hair_name, "1girl" if girl else "1boy"}
    for part, variant in (variants | {"background": background_kind}).items():
        tags.update(_TAGS.get(f"{part}:{variant}", []))
    return Drawing(_svg(background, pose, layers), _svg(black, pose, flat), sorted(tags))


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
    """The components of a figure, each a positioned SVG group, in drawing order."""
    options: dict = {"seed": "", "hairColor": [hair], "skinColor": [skin], "clothesColor": [clothes]}
    for name, variant in variants.items():
        options[f"{name}Probability"] = 0 if variant == "none" else 100
        if variant != "none":
            options[f"{name}Variant"] = variant
    svg = str(Avatar(_style(), options))  # <defs> with a <g id="component-..."> each, then a <use> of each
    shapes = {name: rest for name, rest in re.findall(r'<g id="([^-"]+)-[^"]*"(.*?)(?=<g id="|<clipPath )', svg, re.S)}
    uses = re.findall(r'<use transform="([^"]*)" href="#([^-"]+)-', svg)
    return {name: f'<g transform="{position}{_enlarged(name)}"{shapes[name]}' for position, name in uses}


def _enlarged(name: str) -> str:
    """The transform that enlarges a component about its middle, where the figures' eyes and mouths are drawn larger."""
    if name not in _ENLARGED:
        return ""
    component, (x, y) = _definition()["components"][name], _ENLARGED[name]
    left, top = component["width"] / 2, component["height"] / 2
    return f" translate({left} {top}) scale({x} {y}) translate({-left} {-top})"


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


def _svg(background: str, pose: str, layers: dict[str, str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {CANVAS} {CANVAS}" fill="none">{background}'
        f'<g stroke-width="{_LINE_WIDTH}" transform="{pose}">{"".join(layers.values())}</g></svg>'
    )


def _pose(rng: random.Random) -> str:
    """A transform that turns, scales, shifts and maybe mirrors the figure, which still reaches the lower edge."""
    center = CANVAS / 2
    angle, scale, mirror = rng.uniform(-10, 10), rng.uniform(1.12, 1.27), rng.choice([-1, 1])
    x, y = center + rng.uniform(-50, 50), center + rng.uniform(-10, 40)
    return (
        f"translate({x:.1f} {y:.1f}) rotate({angle:.2f}) scale({mirror * scale:.4f} {scale:.4f}) "
        f"translate({-center} {-center})"
    )
