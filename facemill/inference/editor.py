"""What attribute vectors do to portraits: GauGAN paints them with the mask held, or the VAE decodes them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from facemill.data.classes import SEVEN
from facemill.imaging.colors import REGIONS, difference, region_colors
from facemill.imaging.palettes import Palette
from facemill.inference.painter import BATCH
from facemill.inference.painter import Painter as GauganPainter
from facemill.inference.segmenter import Segmenter
from facemill.latent.attribute_vectors import Vectors
from facemill.latent.probe_latents import Probes
from facemill.latent.tag_portraits import GROUPS, best
from facemill.metrics.segmentation import confusion, iou
from facemill.networks.spade import Generator
from facemill.networks.store import autocast, device
from facemill.networks.unet import Unet
from facemill.networks.vae import Vae, to_pixels
from facemill.taggers.tagger import Tagger, TaggerInput

DRIFT = 10.0
"""CIEDE2000 difference above which a region's color has moved."""

FALL = 0.01
"""A probability that falls by less than this is taken for steady."""

Masks = Mapping[str, np.ndarray]
"""Class ids, uint8 (S, S), by the portrait's id."""

Painter = Callable[[Sequence[str], np.ndarray], np.ndarray]
"""Paints the portraits with these ids from latents (N, Z): uint8 RGB (N, S, S, 3)."""


def mask_painter(generator: Generator, masks: Masks) -> Painter:
    """GauGAN, which holds each portrait's own mask."""

    def painter(ids: Sequence[str], latents: np.ndarray) -> np.ndarray:
        labels = torch.from_numpy(np.stack([masks[id] for id in ids]))
        return GauganPainter(generator, SEVEN).generate(labels, torch.from_numpy(np.float32(latents)))

    return painter


def decoding_painter(vae: Vae) -> Painter:
    """The VAE's decoder, in which the latent says everything."""

    @torch.inference_mode()
    def painter(ids: Sequence[str], latents: np.ndarray) -> np.ndarray:
        decoded = []
        for codes in torch.from_numpy(np.float32(latents)).split(BATCH):
            with autocast():
                decoded.append(to_pixels(vae.decode(codes.to(device()))))
        return np.concatenate(decoded)

    return painter


@dataclass(frozen=True)
class Edit:
    """A portrait to be turned into something."""

    id: str
    latent: np.ndarray
    own: str | bool
    """Its name in the target's group, or whether it has the boolean that is to change."""


@dataclass(frozen=True)
class Painting:
    """A painted portrait, and the mask, uint8 (S, S), that a U-Net sees in it where there is one."""

    portrait: TaggerInput
    mask: np.ndarray | None


class Studio:
    """Paints portraits and looks at them: at colors under the masks, and through a U-Net, where there are masks."""

    def __init__(self, painter: Painter, masks: Masks, unet: Unet | None) -> None:
        self.painter, self.masks, self.unet = painter, masks, unet

    def paint(self, ids: Sequence[str], latents: np.ndarray) -> list[Painting]:
        """The portraits `ids` painted from latents, float (N, z_dim), with what is seen in them."""
        pictures = self.painter(ids, latents)
        seen = [None] * len(ids) if self.unet is None else Segmenter(self.unet, SEVEN).masks(pictures)
        colors = [
            region_colors(p, self.masks[id]) if id in self.masks else None for p, id in zip(pictures, ids, strict=True)
        ]
        return [Painting(TaggerInput(p, colors=c), mask) for p, c, mask in zip(pictures, colors, seen, strict=True)]


@dataclass(frozen=True)
class Judge:
    """Says whether a painting shows the target: of a group the most probable of its names, else a boolean."""

    tagger: Tagger
    target: str
    names: Sequence[str]
    """The names of the target's group; none for a boolean."""

    def probabilities(self, paintings: Sequence[Painting], wanted: Sequence[bool]) -> np.ndarray:
        """How probable the target is, or its absence where it is not wanted: float (N,)."""
        found = self.tagger.estimate_specific_tags([p.portrait for p in paintings], [self.target])
        return np.array(
            [of[self.target] if want else 1 - of[self.target] for of, want in zip(found, wanted, strict=True)]
        )

    def verdicts(self, paintings: Sequence[Painting], wanted: Sequence[bool]) -> np.ndarray:
        """Whether the target is there, or absent where it is not wanted: bool (N,)."""
        asked = [name for name in self.names if self.tagger.knows(name)] or [self.target]
        found = self.tagger.estimate_specific_tags([p.portrait for p in paintings], asked)
        if self.names:
            return np.array([best({n: p for n, p in of.items() if p > 0}, asked)[0] == self.target for of in found])
        return np.array(
            [(of[self.target] > self.tagger.threshold) == want for of, want in zip(found, wanted, strict=True)]
        )


def try_vector(
    studio: Studio,
    edits: Sequence[Edit],
    target: str,
    vectors: Vectors,
    judge: Judge,
    probes: Probes,
    *,
    strength: float,
    along: int,
) -> dict[str, float | int | None]:
    """What happens when the portraits of `edits` are turned into `target`.

    Returns:
        `success`: the share of edited paintings that the judge calls changed, of those that it did not before.
        `before`: the share that it calls so before the edit.
        `drift`: where there are masks, for each region but the target's own the share of portraits whose edited
        painting is more than `DRIFT` away there from the unedited one, and the mean of these shares over the regions;
        elsewhere the share of verdicts on all other attributes, by the probes, that the edit changes.
        `mask_iou`: mean IoU of the masks that the U-Net sees before and after; None without masks.
        `monotonicity`: the share of steps on the way, of the first `along` portraits, on which the judge finds the target
        at least as probable as a step before (but for `FALL`).
        `images`: how many portraits were edited; all else is None when it is 0.
    """
    if not edits:
        return dict.fromkeys(["success", "before", "drift", "mask_iou", "monotonicity"]) | {"images": 0}
    ids, wanted = [edit.id for edit in edits], [edit.own is not True for edit in edits]
    latents = np.stack([edit.latent for edit in edits])
    steps = strength * np.stack([vectors.step(edit.own, target) for edit in edits])
    before, after = studio.paint(ids, latents), studio.paint(ids, latents + steps)
    was, is_now = judge.verdicts(before, wanted), judge.verdicts(after, wanted)
    drift = (
        _color_drift(before, after, target, vectors) if studio.masks else _probe_drift(probes, before, after, target)
    )
    way = [before[:along]]
    way += [studio.paint(ids[:along], latents[:along] + share * steps[:along]) for share in (0.25, 0.5, 0.75)]
    way += [after[:along]]
    probable = np.stack([judge.probabilities(paintings, wanted[:along]) for paintings in way])
    return {
        "success": float(is_now[~was].mean()) if not was.all() else None,
        "before": float(was.mean()),
        "drift": drift,
        "mask_iou": _mask_kept(before, after) if studio.unet else None,
        "monotonicity": float((np.diff(probable, axis=0) > -FALL).mean()),
        "images": len(edits),
    }


def _color_drift(before: Sequence[Painting], after: Sequence[Painting], target: str, vectors: Vectors) -> float:
    own = next((GROUPS[group] for group, names in vectors.groups.items() if target in names), None)
    moved: dict[str, list[bool]] = {}
    for one, other in zip(before, after, strict=True):
        for region in REGIONS:
            if region != own and one.portrait.colors[region] is not None:
                apart = difference(one.portrait.colors[region], other.portrait.colors[region])
                moved.setdefault(region, []).append(apart > DRIFT)
    return float(np.mean([np.mean(of_region) for of_region in moved.values()])) if moved else 0.0


def _probe_drift(probes: Probes, before: Sequence[Painting], after: Sequence[Painting], target: str) -> float | None:
    verdicts = [probes.verdicts([painting.portrait for painting in paintings]) for paintings in (before, after)]
    own = next((group for group, names in probes.groups.items() if target in names), target)
    changed = [np.mean(verdicts[0][key] != verdicts[1][key]) for key in verdicts[0] if key != own]
    return float(np.mean(changed)) if changed else None


def _mask_kept(before: Sequence[Painting], after: Sequence[Painting]) -> float:
    return float(np.nanmean(iou(sum(confusion(b.mask, a.mask, len(SEVEN)) for a, b in zip(before, after, strict=True)))))


def judge_of(target: str, given_by: str, judges: Mapping[str, Tagger], probes: Probes) -> str:
    """Who judges edits towards a target: a source that can look at images other than the one that gave the labels.

    Where there is no other, the one that gave the labels; where that cannot look either, the probes (`probe`).
    """
    knowing = [source for source, tagger in judges.items() if tagger.knows(target)]
    others = [source for source in knowing if source != given_by]
    return next(iter([*others, *knowing]), "probe")


def choose_transitions(
    own: Mapping[str, str], names: Sequence[str], palette: Palette, rows: int
) -> list[tuple[str, str]]:
    """At most `rows` portraits, each with the hair color that it turns into; no portrait and no color comes twice.

    `own` gives the portraits' hair colors, in the order in which portraits are taken. Where it has one of the darkest
    color, the first row turns it into the most colorless of the others: black to silver.
    """
    darkest = min(names, key=lambda name: palette[name][0, 0])
    palest = min((name for name in names if name != darkest), key=lambda name: np.hypot(*palette[name][0, 1:]))
    chosen = {id: palest for id in [id for id, name in own.items() if name == darkest][:1]}
    for target in names:
        free = (id for id, name in own.items() if id not in chosen and name != target)
        if target not in chosen.values() and (id := next(free, None)) is not None:
            chosen[id] = target
    return list(chosen.items())[:rows]


def along(painter: Painter, id: str, latent: np.ndarray, vector: np.ndarray, places: Sequence[float]) -> np.ndarray:
    """Paintings of a portrait at places along a vector (Z,), 0 its own latent, 1 the end: uint8 RGB (N, S, S, 3)."""
    return painter([id] * len(places), latent + np.array(places)[:, None] * vector)
