"""Composition of an avatar: the nearest part of each role, in the portrait's colors, drawn by the style."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from facemill.avatars.colors import Color, compared, corrected, hex_color
from facemill.avatars.matching import Library
from facemill.avatars.part_maps import over, picture, seven_mask
from facemill.avatars.regions import Part
from facemill.avatars.statistics import Statistics
from facemill.avatars.styles import Choice, PartRole
from facemill.data.classes import SEVEN
from facemill.imaging.colors import Lab, region_colors

MEASURED = 128
"""Side in pixels of the drawing on which colors are measured."""

COLOR_OF = {"hair": "hair", "face": "skin", "clothes": "clothes", "eyes": "eye", "mouth": "mouth"}
"""The region of `imaging.colors.REGIONS` whose color a part's `lab` is, by the part's role."""


@dataclass(frozen=True)
class Matched:
    """The part of a style that is nearest to one of a portrait."""

    choice: Choice
    distance: float
    margin: float
    """How much farther the second is."""
    nearest: tuple[tuple[Choice, float], ...]
    """The five nearest, with their distances."""


@dataclass(frozen=True)
class Avatar:
    """An avatar."""

    options: dict
    """DiceBear's, complete: the style draws the same bytes from them again."""
    svg: str
    roles: dict[PartRole, Matched]
    """The parts that the portrait has."""
    colors: dict[str, Color]
    """By region of `imaging.colors.REGIONS`."""
    unseen: tuple[str, ...]
    """Roles that the portrait does not show, and components that no mask tells; all at their plainest."""


def make(
    parts: Mapping[PartRole, Part],
    colors: Mapping[str, Lab],
    library: Library,
    statistics: Statistics,
    *,
    background: str | None = None,
) -> Avatar:
    """The avatar of a portrait.

    Args:
        parts: of the portrait, by role.
        colors: of the portrait, by region.
        library: the style's parts.
        statistics: of the parts of the portrait's collection.
        background: hex color; None: transparent.
    """
    [roles] = match([{role: part.descriptor for role, part in parts.items()}], library, statistics)
    return compose(roles, colors, library, background=background)


def part_colors(labs: Mapping[PartRole, Lab | None]) -> dict[str, Lab]:
    """A portrait's colors by region, from those of its parts."""
    return {COLOR_OF[role]: lab for role, lab in labs.items() if role in COLOR_OF and lab is not None}


def match(
    portraits: Sequence[Mapping[PartRole, np.ndarray]], library: Library, statistics: Statistics
) -> list[dict[PartRole, Matched]]:
    """The nearest parts of a style for each portrait; a role's descriptors are compared in one product of matrices.

    Args:
        portraits: for each portrait the descriptors, float32 (D,), of its parts by role.
        library: the style's parts.
        statistics: of the parts of the portraits' collection.
    """
    matched: list[dict[PartRole, Matched]] = [{} for _ in portraits]
    for role in library.prototypes:
        indices = [i for i, portrait in enumerate(portraits) if role in portrait]
        if not indices:
            continue
        found = library.nearest(role, np.stack([portraits[i][role] for i in indices]), statistics)
        for i, candidates, distances, margin in zip(
            indices, found.candidates, found.distances, found.margin, strict=True
        ):
            choices = [library.choices(role, int(candidate)) for candidate in candidates]
            nearest = tuple(zip(choices, map(float, distances), strict=True))
            matched[i][role] = Matched(*nearest[0], float(margin), nearest)
    return matched


def compose(
    roles: Mapping[PartRole, Matched],
    colors: Mapping[str, Lab],
    library: Library,
    *,
    background: str | None = None,
) -> Avatar:
    """Draws the avatar of matched parts; its colors are measured by the map of its parts, and corrected once.

    Args:
        roles: the matched parts.
        colors: of the portrait, by region; those that the style has are used.
        library: the style's parts.
        background: hex color; None: transparent.
    """
    style = library.style
    choices = {role: matched.choice for role, matched in roles.items()}
    asked = {region: colors[region] for region in style.color_options if region in colors}
    given = {region: hex_color(lab) for region, lab in asked.items()}
    first = style.svg(style.options(choices, given))
    mask = seven_mask(first, style, MEASURED)
    rendered = _rendered(first, mask)
    given = {
        region: color if (shown := rendered[region]) is None else corrected(color, asked[region], shown)
        for region, color in given.items()
    }
    options = style.options(choices, given, background)
    svg = style.svg(options)
    rendered = _rendered(svg, mask)
    unseen = (*(role for role in style.candidates if role not in roles), *style.unseen)
    return Avatar(options, svg, dict(roles), compared(asked, given, rendered), unseen)


def _rendered(svg: str, mask: np.ndarray) -> dict[str, Lab | None]:
    """The colors of a drawing's regions, which `mask` shows."""
    return region_colors(over(picture(svg, MEASURED)), mask, SEVEN)


def png(svg: str, size: int) -> bytes:
    """A drawing as a PNG of `size` x `size` pixels with transparency."""
    return cv2.imencode(".png", cv2.cvtColor(picture(svg, size), cv2.COLOR_RGBA2BGRA))[1].tobytes()
