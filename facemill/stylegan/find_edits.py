"""Local edits of a StyleGAN, found without any gradient: by difference, and by effect, in each layer.

*By difference*: the means of a layer's maps inside the region, over portraits that show the attribute, less those over
portraits that do not. It is the local form of an attribute vector. *By effect*: each map alone is raised and lowered
there, and what that does to the attribute is compared with what it does outside the region. (Bau et al. 2019,
https://arxiv.org/abs/1811.10597, section 3.2, insert and remove objects by maps that follow a class.)

A probe of the region's pixels tells the attribute, fitted to one half of the collection; `evaluate_edits` judges what
was found by a probe of the other half.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from facemill.config.stylegan import EditsConfig
from facemill.data.classes import ClassTable
from facemill.data.shards import mask_classes
from facemill.data.splits import held_out
from facemill.inference.sampler import Sampler
from facemill.log import log, progress
from facemill.networks.device import autocast
from facemill.networks.style_edits import Stage, shrunk, stages
from facemill.networks.vae import to_pixels
from facemill.stylegan.edit_rows import Generated, read_generated, read_real
from facemill.stylegan.edits import (
    BATCH,
    LOCK_SIDE,
    Applied,
    Edit,
    EditRegion,
    LocalEdit,
    as_tensor,
    map_deviations,
    paint_edited,
)
from facemill.stylegan.recipes import RecipePainter
from facemill.stylegan.region_probes import RegionProbe, seen_size

FEW = 20
"""Portraits that show the attribute, and that do not, at least: those that show it most, and least."""
TRIED = 12
"""Portraits on which each map is tried alone."""
STEP = 2.0
"""Deviations by which it is raised and lowered."""
FINEST = 2
"""Layers are searched whose maps are smaller than portraits by this factor; for names of colors finer ones, too."""
MOST_TRIED = 128
"""Maps of a layer that are tried alone: those of the largest difference."""
CHOICE = 32
"""Portraits by which layer, way and strength are chosen."""
STRENGTHS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""Factors that are tried: of the difference, and of one deviation for the map of the largest effect.

Larger ones lead to maps that no portrait has, where a probe sees what no eye does.
"""
NEARLY = 0.9
"""Of the edits that are worth this share of the best one, that is chosen which changes least, for the same reason."""
GROWN = 32
"""The region is grown by the portraits' height over this, at least one pixel."""


def find_edits(
    *,
    model: Path,
    generated: list[Path],
    portraits: list[Path],
    tags: list[Path],
    pseudo_labels: list[Path],
    settings: EditsConfig,
    min_images: int,
    holdout: float,
    edits: list[Path],
) -> None:
    """Finds a local edit for each attribute: layer, feature maps and what is added to them in the attribute's region.

    An attribute that too few portraits of the collection have, or lack, gets an edit that does nothing.

    Args:
        model: the generator, a safetensors file.
        generated: shards of generated portraits.
        portraits: shards of the collection.
        tags: shards of the collection's tags.
        pseudo_labels: shards of the collection's masks.
        settings: the section `edits`.
        min_images: least number of portraits that have an attribute, and that lack it.
        holdout: share of the portraits that is held out, on which edits are measured.
        edits: the edit files to write, one for each attribute, in their order.
    """
    painter, classes = RecipePainter.load(model), mask_classes(generated)
    generator = painter.sampler.generator
    samples = read_generated(generated, classes, settings.samples, lambda row_id: not held_out(row_id, holdout))
    real = read_real(portraits, tags, pseudo_labels, classes, generator.height).half(choice=True)
    deviations = map_deviations(painter.sampler)
    for (name, role), path in zip(settings.attributes.items(), edits, strict=True):
        region = EditRegion.model_validate({"class": role, "grow": max(generator.height // GROWN, 1)})
        probe = real.probe(name, classes.role_ids(role), min_images)
        if probe is None:
            text = "find_edits: %s: fewer than %d portraits have, or lack, it: an edit that does nothing is written"
            log.warning(text, name, min_images)
            found = NOTHING
        else:
            finest = 1 if name in real.colors else FINEST
            search = Search(painter.sampler, probe, samples, region, classes, deviations, finest)
            found = search.best(settings.channels)
            log.info(
                "find_edits: %s: layer %d, by %s: success %.2f, outside %.2f of the change",
                *(name, found.layer),
                *found[2:5],
            )
        channels = {channel: float(f"{value:.4g}") for channel, value in found.values.items()}
        Edit(
            name=name, model=painter.model, layer=found.layer, channels=channels, region=region, found=found.way
        ).write(path)


class Found(NamedTuple):
    """An edit that was tried."""

    layer: int
    values: Mapping[int, float]
    """By feature map what is added, in deviations."""
    way: str
    success: float
    """Share of the portraits that show the attribute with it."""
    outside: float
    """Share of the squared change outside the region."""
    change: float
    """Mean square of the change of pixels, in 0 to 255."""

    @property
    def worth(self) -> float:
        """What an edit is chosen by first."""
        return self.success * (1 - self.outside)


NOTHING = Found(0, {}, "nothing", 0, 0, 0)


class Search:
    """The search for one attribute's edit.

    Args:
        sampler: the generator.
        probe: tells the attribute.
        samples: generated portraits; those without the region are left out.
        region: where the edit is.
        classes: the masks' class table.
        deviations: see `map_deviations`.
        finest: see `FINEST`.
    """

    def __init__(
        self,
        sampler: Sampler,
        probe: RegionProbe,
        samples: Generated,
        region: EditRegion,
        classes: ClassTable,
        deviations: Sequence[Tensor],
        finest: int = FINEST,
    ) -> None:
        self.sampler, self.probe, self.deviations, self.finest = sampler, probe, deviations, finest
        self.region, self.classes = region, classes
        self.has, self.lacks = divided(samples, probe)

    def best(self, channels: int) -> Found:
        """The best of the edits that are found in each layer, of at most so many channels; none without the part."""
        if not (len(self.has) and len(self.lacks)):
            return NOTHING
        generator = self.sampler.generator
        widths = [width for _, width in generator.sides()]
        layers = [i for i, width in enumerate(widths) if LOCK_SIDE <= width <= generator.width // self.finest]
        differences = self.differences()
        chosen = self.lacks.take(range(min(CHOICE, len(self.lacks))))
        before = paint_edited(self.sampler, chosen.styles)
        found = [NOTHING]
        for layer in progress(layers, f"find_edits {self.probe.name}", len(layers), "layers"):
            difference = differences[layer]
            for way, values in (
                ("difference", strongest(difference, np.abs(difference), channels)),
                ("effect", self.by_effect(layer, difference, channels)),
            ):
                for strength in STRENGTHS:
                    scaled = {channel: strength * value for channel, value in values.items()}
                    found.append(self.attempt(chosen, before, layer, scaled, way))
        most = max(tried.worth for tried in found)
        return min((tried for tried in found if tried.worth >= NEARLY * most), key=lambda tried: tried.change)

    def attempt(
        self, portraits: Generated, before: np.ndarray, layer: int, values: Mapping[int, float], way: str
    ) -> Found:
        """What an edit does to portraits, painted before."""
        regions = self.region.of(portraits.masks, self.classes)
        edit = LocalEdit.from_values(layer, values, self.deviations)
        after = paint_edited(self.sampler, portraits.styles, [Applied(edit, regions)])
        shown = self.probe.probabilities(seen_size(after), seen_size(portraits.masks)) > self.probe.probes.threshold
        change = float(np.square(after.astype(np.float64) - before).mean())
        return Found(layer, values, way, float(shown.mean()), outside_share(before, after, regions), change)

    def differences(self) -> list[np.ndarray]:
        """For each layer the mean of its maps inside the region where the attribute is, less where it is not.

        float64 (C,), in deviations.
        """
        sides = [self.region_means(side) for side in (self.has, self.lacks)]
        return [
            ((a.mean(0) - b.mean(0)) / deviation.clamp(min=1e-6)).double().cpu().numpy()
            for a, b, deviation in zip(*sides, self.deviations, strict=True)
        ]

    @torch.inference_mode()
    def region_means(self, portraits: Generated) -> list[Tensor]:
        """For each layer the means of its maps inside the region, float32 (N, C)."""
        regions, means = self.region.of(portraits.masks, self.classes), []
        for start in range(0, len(portraits), BATCH):
            part = slice(start, start + BATCH)
            region = as_tensor(self.sampler, regions[part])
            with autocast():
                of_part = []
                for stage in stages(self.sampler.generator, portraits.styles[part].clone().to(self.sampler.device)):
                    share = shrunk(region, stage.maps.shape[2])
                    of_part.append((stage.maps.float() * share).sum((2, 3)) / share.sum((2, 3)).clamp(min=1e-9))
            means.append(of_part)
        return [torch.cat(of_layer) for of_layer in zip(*means, strict=True)]

    def by_effect(self, layer: int, difference: np.ndarray, channels: int) -> dict[int, float]:
        """The maps that do most for the attribute for what they change outside, each in proportion to what it does."""
        tried = np.argsort(-np.abs(difference), kind="stable")[:MOST_TRIED]
        effects, outside = self.effects(layer, tried)
        worth = np.abs(effects) / (outside + max(float(np.median(outside)), 1e-6))
        chosen = strongest(effects, worth, channels)
        most = max(map(abs, chosen.values()), default=0) or 1
        return {int(tried[index]): value / most for index, value in chosen.items()}

    @torch.inference_mode()
    def effects(self, layer: int, channels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What each of the channels does alone, (K,) each.

        Returns:
            Half the difference in the attribute's logit between raised and lowered by `STEP`; the root of the mean
            square of the change outside the region, of pixels in 0 to 255.
        """
        portraits = self.lacks.take(range(min(TRIED, len(self.lacks))))
        regions, count = self.region.of(portraits.masks, self.classes), len(portraits)
        styles = portraits.styles.clone().to(self.sampler.device)
        with autocast():
            before = list(stages(self.sampler.generator, styles))
        unedited = to_pixels(before[-1].image).astype(np.float32)
        start = Stage(*(x.repeat(2, 1, 1, 1) for x in before[layer - 1]))
        share = shrunk(as_tensor(self.sampler, regions), before[layer].maps.shape[2])
        seen_masks = seen_size(portraits.masks)
        effects, outside = np.zeros(len(channels)), np.zeros(len(channels))
        for index, channel in enumerate(channels):
            step = torch.zeros_like(self.deviations[layer])
            step[channel] = STEP * self.deviations[layer][channel]
            change = share * step[:, None, None]
            with autocast():
                *_, last = stages(
                    self.sampler.generator,
                    styles.repeat(2, 1),
                    {layer: torch.cat([change, -change])},
                    (layer, start),
                )
            images = to_pixels(last.image)
            logits = self.probe.logits(seen_size(images), np.concatenate([seen_masks] * 2))
            effects[index] = (logits[:count] - logits[count:]).mean() / 2
            change_outside = (images - np.concatenate([unedited] * 2))[~np.concatenate([regions] * 2)]
            outside[index] = np.sqrt(np.square(change_outside).mean()) if change_outside.size else 0
        return effects, outside


def divided(samples: Generated, probe: RegionProbe) -> tuple[Generated, Generated]:
    """Portraits that show an attribute, the plainest first, and those that do not, in their order.

    There are `FEW` of each at least, half the portraits at most: those that show it most, and least.
    """
    p = probe.probabilities(*samples.seen())
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(-p[known], kind="stable")]
    few = min(FEW, len(order) // 2)
    shows = int((p[order] > probe.probes.threshold).sum())
    count = min(max(shows, few), len(order) - few)
    return samples.take(order[:count]), samples.take(np.sort(order[count:]))


def strongest(values: np.ndarray, worth: np.ndarray, count: int) -> dict[int, float]:
    """The values (C,) of greatest worth (C,), by their index."""
    return {int(index): float(values[index]) for index in np.argsort(-worth, kind="stable")[:count]}


def outside_share(before: np.ndarray, after: np.ndarray, regions: np.ndarray) -> float:
    """The share of the squared change of pixels, uint8 (N, H, W, 3), outside regions, bool (N, H, W); 0 without any."""
    squares = np.square(after.astype(np.float64) - before).sum(3)
    total = squares.sum()
    return float(squares[~regions].sum() / total) if total else 0.0
