"""What attribute vectors do to portraits that GauGAN paints: the mask is held, the style code moves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from facemill.colors import REGIONS, Lab, difference, region_colors
from facemill.latent.colors import Palette, name_by_color
from facemill.synthesize.gaugan import Generator
from facemill.synthesize.measure import paint

DRIFT = 10.0
"""CIEDE2000 difference above which a region's colour has moved."""

Colors = dict[str, Lab | None]
"""The median colour of each region of a portrait, None for one that it lacks."""


@dataclass(frozen=True)
class Styled:
    """What GauGAN paints a portrait from."""

    hair_color: str
    mask: np.ndarray
    """Class ids, uint8 (S, S)."""
    latent: np.ndarray
    """The style code, (Z,)."""


def try_vectors(
    generator: Generator,
    portraits: Mapping[str, Styled],
    edits: Mapping[str, Sequence[str]],
    means: Mapping[str, np.ndarray],
    palette: Palette,
) -> dict[str, dict[str, float | int | None]]:
    """For each hair colour what `measure_edits` finds when portraits are painted with it instead of their own.

    `edits` names the portraits for each hair colour. Each is painted with its own latent, and with
    `latent + means[target] - means[its hair colour]`.
    """
    before = dict(zip(portraits, _painted_colors(generator, list(portraits.values())), strict=True))
    figures = {}
    for target, ids in edits.items():
        own = [portraits[id] for id in ids]
        moved = [replace(p, latent=p.latent + means[target] - means[p.hair_color]) for p in own]
        after = _painted_colors(generator, moved)
        figures[target] = measure_edits([before[id] for id in ids], after, target, palette)
    return figures


def _painted_colors(generator: Generator, portraits: Sequence[Styled]) -> list[Colors]:
    if not portraits:
        return []
    pictures = _painted(generator, [p.mask for p in portraits], np.stack([p.latent for p in portraits]))
    return [region_colors(picture, p.mask) for picture, p in zip(pictures, portraits, strict=True)]


def _painted(generator: Generator, masks: Sequence[np.ndarray], latents: np.ndarray) -> np.ndarray:
    return paint(generator, torch.from_numpy(np.stack(masks)), torch.from_numpy(np.float32(latents)))


def measure_edits(
    before: Sequence[Colors], after: Sequence[Colors], target: str, palette: Palette
) -> dict[str, float | int | None]:
    """How far edits towards a hair colour hit, and how much else they move.

    `before` and `after` are the colours of the same portraits, painted with their own latents and with moved ones. All
    of them have hair.

    Returns:
        `success`: the share of edited paintings whose hair has a colour of the name `target`.
        `before`: the same share of the unedited paintings, for comparison.
        `drift`: for each region but the hair, the share of portraits (of those in which it has a colour) whose edited
        painting is more than `DRIFT` away there from the unedited one; the mean of these shares over the regions.
        `images`: how many portraits were edited; the shares are None when it is 0.
    """
    if not before:
        return {"success": None, "before": None, "drift": None, "images": 0}
    return {
        "success": _share_named(target, after, palette),
        "before": _share_named(target, before, palette),
        "drift": _drift(before, after),
        "images": len(before),
    }


def _share_named(name: str, colors: Sequence[Colors], palette: Palette) -> float:
    return float(np.mean([name_by_color(of["hair"], palette)[0] == name for of in colors]))


def _drift(before: Sequence[Colors], after: Sequence[Colors]) -> float:
    moved: dict[str, list[bool]] = {}
    for one, other in zip(before, after, strict=True):
        for region in REGIONS:
            if region != "hair" and one[region] is not None:
                moved.setdefault(region, []).append(difference(one[region], other[region]) > DRIFT)
    return float(np.mean([np.mean(of_region) for of_region in moved.values()])) if moved else 0.0


def choose_transitions(
    own: Mapping[str, str], names: Sequence[str], palette: Palette, rows: int
) -> list[tuple[str, str]]:
    """At most `rows` portraits, each with the hair colour that it turns into; no portrait and no colour comes twice.

    `own` gives the portraits' hair colours, in the order in which portraits are taken. Where it has one of the darkest
    colour, the first row turns it into the most colourless of the others: black to silver.
    """
    darkest = min(names, key=lambda name: palette[name][0, 0])
    palest = min((name for name in names if name != darkest), key=lambda name: np.hypot(*palette[name][0, 1:]))
    chosen = {id: palest for id in [id for id, name in own.items() if name == darkest][:1]}
    for target in names:
        free = (id for id, name in own.items() if id not in chosen and name != target)
        if target not in chosen.values() and (id := next(free, None)) is not None:
            chosen[id] = target
    return list(chosen.items())[:rows]


def transition(generator: Generator, portrait: Styled, vector: np.ndarray, steps: int) -> np.ndarray:
    """Paintings along a vector (Z,), from the portrait's own latent to its end: uint8 RGB (steps, S, S, 3)."""
    way = np.linspace(0, 1, steps)[:, None]
    return _painted(generator, [portrait.mask] * steps, portrait.latent + way * vector)
