"""Synthetic portraits, each with its exact map of parts and its tags: the embedded sample."""

import random
from dataclasses import dataclass

from facemill.ingest.backgrounds import CANVAS, draw_background, jitter_color, random_color
from facemill.ingest.toon_head import HAND, Figure, Hand, Scene, definition, pose, scene

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

EYES = ("happy", "wide", "wink")
"""The variants of eyes that are drawn; the style's others are closed: two lines of a pixel in a small picture."""


@dataclass(frozen=True)
class Drawing(Scene):
    """A synthetic portrait."""

    tags: list[str]
    """Danbooru's tags for it, sorted."""
    variants: dict[str, str]
    """The variant of each component of the style; `none` for a component that is not shown."""


def draw(post_id: int, seed: int, hand: Hand = HAND) -> Drawing:
    """The portrait of a post: both numbers seed its parts, colors, background and pose, which no hand changes."""
    rng = random.Random(f"{seed}:{post_id}")
    hair_name, girl = rng.choice(list(HAIR_COLORS)), rng.random() < 0.7
    hair, skin = jitter_color(rng, HAIR_COLORS[hair_name], 0.03), jitter_color(rng, rng.choice(_SKIN_COLORS), 0.04)
    clothes = random_color(rng)
    variants = _choose_variants(rng, girl)
    background_kind, background = draw_background(rng, [hair, skin, clothes])
    drawn = scene(background, [(Figure(variants, hair, skin, clothes), _choose_pose(rng))], hand)
    tags = {hair_name, "1girl" if girl else "1boy"}
    for part, variant in (variants | {"background": background_kind}).items():
        tags.update(_TAGS.get(f"{part}:{variant}", []))
    return Drawing(drawn.picture, drawn.parts, sorted(tags), variants)


def _choose_variants(rng: random.Random, girl: bool) -> dict[str, str]:
    """A variant for each component of the style; rear hair and beard may be `none`."""
    components = definition()["components"]
    variants = {name: rng.choice(sorted(component["variants"])) for name, component in components.items()}
    variants["eyes"] = rng.choice(EYES)
    if rng.random() > (0.85 if girl else 0.15):
        variants["rearHair"] = "none"
    if girl or rng.random() > 0.35:
        variants["beard"] = "none"
    return variants


def _choose_pose(rng: random.Random) -> str:
    """A transform that turns, scales, shifts and maybe mirrors the figure, which still reaches the lower edge."""
    angle, scale, mirror = rng.uniform(-10, 10), rng.uniform(1.12, 1.27), rng.choice([-1, 1])
    x, y = CANVAS / 2 + rng.uniform(-50, 50), CANVAS / 2 + rng.uniform(-10, 40)
    return pose(x, y, angle, scale, mirror)
