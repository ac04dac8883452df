"""What attribute vectors do to portraits that GauGAN paints: the mask is held, the style code moves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from facemill.colors import REGIONS, difference, region_colors
from facemill.latent.colors import Palette, name_by_color
from facemill.synthesize.gaugan import Generator
from facemill.synthesize.measure import paint

DRIFT = 10.0
"""CIEDE2000 difference above which a region's colour has moved."""


@dataclass(frozen=True)
class Styled:
    """What GauGAN paints a portrait from."""

    hair_color: str
    mask: np.ndarray
    """Class ids, uint8 (S, S)."""
    latent: np.ndarray
    """The style code, (Z,)."""


def render(generator: Generator, masks: Sequence[np.ndarray], latents: np.ndarray) -> np.ndarray:
    """GauGAN's portraits of N masks (class ids, uint8 (S, S) each) with style codes (N, Z): uint8 RGB (N, S, S, 3)."""
    return paint(generator, torch.from_numpy(np.stack(masks)), torch.from_numpy(np.float32(latents)))


def measure_edits(
    generator: Generator, portraits: Sequence[Styled], target: str, means: Mapping[str, np.ndarray], palette: Palette
) -> dict[str, float | int | None]:
    """How far edits towards a hair colour hit, and how much else they move.

    Each portrait is painted with its own latent, and with `latent + means[target] - means[its hair colour]`. Colours
    are medians over the regions of its mask, so every mask must have `MIN_PIXELS` of hair.

    Returns:
        `success`: the share of edited paintings whose hair has a colour of the name `target`.
        `before`: the same share of the unedited paintings, for comparison.
        `drift`: for each region but the hair, the share of portraits (of those in which it has a colour) whose edited
        painting is more than `DRIFT` away there from the unedited one; the mean of these shares over the regions.
        `images`: how many portraits were edited; the shares are None when it is 0.
    """
    if not portraits:
        return {"success": None, "before": None, "drift": None, "images": 0}
    masks, latents = [p.mask for p in portraits], np.stack([p.latent for p in portraits])
    moved = np.stack([p.latent + means[target] - means[p.hair_color] for p in portraits])
    before = [region_colors(*pair) for pair in zip(render(generator, masks, latents), masks, strict=True)]
    after = [region_colors(*pair) for pair in zip(render(generator, masks, moved), masks, strict=True)]
    return {
        "success": _share_named(target, after, palette),
        "before": _share_named(target, before, palette),
        "drift": _drift(before, after),
        "images": len(portraits),
    }


def _share_named(name: str, colors: Sequence[dict], palette: Palette) -> float:
    return float(np.mean([name_by_color(of["hair"], palette)[0] == name for of in colors]))


def _drift(before: Sequence[dict], after: Sequence[dict]) -> float:
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
    return render(generator, [portrait.mask] * steps, portrait.latent + way * vector)
