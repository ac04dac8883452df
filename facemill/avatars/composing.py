"""Composition of an avatar: the nearest part of each role, in the portrait's colors, drawn by the style."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from facemill.avatars.colors import UNCORRECTED, Color, asked_of, compared, corrected, hex_color
from facemill.avatars.matching import Library
from facemill.avatars.part_maps import over, picture, seven_mask
from facemill.avatars.plausible import contradicted
from facemill.avatars.regions import COLOR_OF, Part
from facemill.avatars.statistics import Statistics
from facemill.avatars.styles import NONE, Choice, DrawingStyle, PartRole
from facemill.data.classes import SEVEN
from facemill.imaging.colors import Lab, difference, region_colors

MEASURED = 96
"""Side in pixels of the drawing on which colors are measured."""

CORRECTIONS = 2
"""How often a drawing's colors are corrected at most; those of most styles need none."""

UNSEEN = 1.0
"""CIEDE2000 that nobody sees, and nothing corrects."""


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
    picture: np.ndarray
    """uint8 RGBA (H, W, 4)."""
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
    size: int = 256,
) -> Avatar:
    """The avatar of a portrait.

    Args:
        parts: of the portrait, by role.
        colors: of the portrait, by region.
        library: the style's parts.
        statistics: of the parts of the portrait's collection.
        background: hex color; None: transparent.
        size: side of the picture in pixels.
    """
    [roles] = match([{role: part.descriptor for role, part in parts.items()}], library, statistics)
    return compose(roles, colors, library, background=background, size=size)


def part_colors(labs: Mapping[PartRole, Lab | None]) -> dict[str, Lab]:
    """A portrait's colors by region, from those of its parts."""
    return {COLOR_OF[role]: lab for role, lab in labs.items() if role in COLOR_OF and lab is not None}


def match(
    portraits: Sequence[Mapping[PartRole, np.ndarray]], library: Library, statistics: Statistics
) -> list[dict[PartRole, Matched]]:
    """The nearest parts of a style for each portrait that do not contradict it (`plausible`).

    A role's descriptors are compared in one product of matrices.

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
        descriptors = np.stack([portraits[i][role] for i in indices])
        excluded = contradicted(role, descriptors, [portraits[i].get("face") for i in indices], library, statistics)
        found = library.nearest(role, descriptors, statistics, excluded)
        for i, candidates, distances, margin in zip(
            indices, found.candidates, found.distances, found.margin, strict=True
        ):
            choices = [library.choices(role, int(candidate)) for candidate in candidates]
            nearest = tuple((c, float(d)) for c, d in zip(choices, distances, strict=True) if np.isfinite(d))
            matched[i][role] = Matched(*nearest[0], float(margin), nearest)
    return matched


def compose(
    roles: Mapping[PartRole, Matched],
    colors: Mapping[str, Lab],
    library: Library,
    *,
    background: str | None = None,
    size: int = 256,
) -> Avatar:
    """Draws the avatar of matched parts; its colors are measured by the map of its parts, and corrected.

    A portrait without hair has an avatar without; other parts that it does not show are the style's plainest.

    Args:
        roles: the matched parts.
        colors: of the portrait, by region; those that the style has are used.
        library: the style's parts.
        background: hex color; None: transparent.
        size: side of the picture in pixels.
    """
    style = library.style
    choices = {role: matched.choice for role, matched in roles.items()}
    if "hair" not in roles:
        choices |= _bald(style)
    asked = asked_of(style.color_options, colors)
    given = {region: hex_color(lab) for region, lab in asked.items()}
    first = style.svg(style.options(choices, given))
    mask = seven_mask(first, style, MEASURED)
    given = _corrected(style, choices, asked, given, mask, first)
    options = style.options(choices, given, background)
    svg = style.svg(options)
    pixels = picture(svg, size)
    rendered = _shown(cv2.resize(pixels, mask.shape, interpolation=cv2.INTER_AREA), mask, asked)
    unseen = (*(role for role in style.candidates if role not in roles), *style.unseen)
    return Avatar(options, svg, pixels, dict(roles), compared(asked, given, rendered), unseen)


def _corrected(
    style: DrawingStyle,
    choices: Mapping[PartRole, Choice],
    asked: Mapping[str, Lab],
    given: dict[str, str],
    mask: np.ndarray,
    svg: str,
) -> dict[str, str]:
    """The colors to give the style so that its drawing, of which `mask` is the map, shows those that are asked.

    Args:
        style: the drawing style.
        choices: of its parts.
        asked: the colors, by region.
        given: the colors that `svg` was given, by region.
        mask: ids of `SEVEN`, uint8 (MEASURED, MEASURED).
        svg: the drawing.
    """
    best = {region: np.inf for region in asked if region not in UNCORRECTED}
    colors = dict(given)
    for attempt in range(CORRECTIONS + 1):
        shown = {region: lab for region, lab in _shown(picture(svg, MEASURED), mask, best).items() if lab is not None}
        off = {region: difference(asked[region], lab) for region, lab in shown.items()}
        for region in off:
            if off[region] < best[region]:
                best[region], colors[region] = off[region], given[region]
        if attempt == CORRECTIONS or all(value < UNSEEN for value in off.values()):
            break
        given = given | {region: corrected(given[region], asked[region], lab) for region, lab in shown.items()}
        svg = style.svg(style.options(choices, given))
    return colors


def _bald(style: DrawingStyle) -> dict[PartRole, Choice]:
    """The hair of a head without any; nothing where the style draws the head with it."""
    components = style.roles.get("hair", ())
    return {} if "head" in components or not components else {"hair": dict.fromkeys(components, NONE)}


def _shown(rgba: np.ndarray, mask: np.ndarray, regions: Iterable[str]) -> dict[str, Lab | None]:
    """The colors of a drawing's regions, which `mask` shows; None for one with too few pixels."""
    measured = region_colors(over(rgba), mask, SEVEN)
    return {region: measured[region] for region in regions}


def png(pixels: np.ndarray) -> bytes:
    """A picture, uint8 RGBA (H, W, 4), as a PNG."""
    return cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA))[1].tobytes()
