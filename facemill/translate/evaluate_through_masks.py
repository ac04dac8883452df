"""Evaluation of translations through masks, and a sheet of them beside those of CycleGAN."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from facemill.data.shards import decode_image, read_rows
from facemill.files import write_json
from facemill.imaging.figures import colorize, save_picture
from facemill.inference.translator import Translator
from facemill.translate.figures import Figures, color_correlations, mious, resized_masks
from facemill.translate.measures import Translated, Way, make_judges, make_ways, translate, way_figures
from facemill.translate.pictures import COLUMNS, sheet
from facemill.translate.sides import read_collections, read_side
from facemill.translate.through_masks import ThroughMasks

DIRECTIONS = ("a2b", "b2a")


def evaluate_through_masks(
    *,
    banks: list[Path],
    cyclegan: list[Path] | None = None,
    portraits: list[Path],
    other: list[Path],
    masks: list[Path] | None = None,
    unet: Path | None = None,
    other_unet: Path | None = None,
    inception_weights: Path | None = None,
    paired: bool = False,
    holdout: float,
    metrics: Path,
    picture: Path,
) -> None:
    """Measures translations through masks on the same held-out portraits, and by the same figures, as CycleGAN's.

    Args:
        banks: what learn_through_masks made, a file for each direction, in the folders a2b and b2a.
        cyclegan: CycleGAN's translators, a2b.safetensors and b2a.safetensors, for the sheet.
        portraits: shards of this collection.
        other: shards of the other collection, with masks where they are known.
        masks: shards of this collection's masks, where there are any.
        unet: the U-Net that knows this collection, where there is one; another than the one that draws the masks.
        other_unet: the U-Net that knows the other.
        inception_weights: of FID's Inception, whose features are used where they are given.
        paired: whether portraits of one id are each other's true answers.
        holdout: share of the portraits that is held out.
        metrics: JSON of the figures, by direction.
        picture: PNG of the first portraits of each direction: as they are, by CycleGAN, the masks, through them.
    """
    translators = {bank.parent.name: ThroughMasks.load(bank.parent) for bank in banks}
    unets, shards = (unet, other_unet), {"a2b": portraits, "b2a": other}
    sizes = {name: measured_size(through, shards.values()) for name, through in translators.items()}
    ways: dict[str, Way] = {}
    for size in sorted(set(sizes.values())):
        both = read_collections(portraits, other, masks or [], unets, size, holdout, paired=paired, choices=False)
        judges = make_judges(unets, None, inception_weights, both[0].side.images)
        of_size: list[Any] = [translators[name] if sizes.get(name) == size else None for name in DIRECTIONS]
        ways |= make_ways(of_size, both, judges, paired)
    for way in ways.values():
        way.back = None  # the way back would be a cycle through two models that were not trained for one
    done = {name: (way, translate(way)) for name, way in sorted(ways.items())}
    figures = {name: way_figures(*of_way) | asked_figures(*of_way, translators[name]) for name, of_way in done.items()}
    write_json(metrics, figures)
    gans = {path.stem: path for path in cyclegan or []}
    parts = []
    for name, (way, translated) in done.items():
        by_gan = by_cyclegan(gans[name], shards[name], way.source.ids[:COLUMNS]) if name in gans else None
        parts.append(sheet_rows(name, way, translated, translators[name], by_gan))
    save_picture(sheet(parts), picture)


def measured_size(through: ThroughMasks, shards: Iterable[list[Path]]) -> int:
    """The height at which a direction is measured: the painter's, or the largest to which all portraits shrink."""
    rows = (next(read_rows(of, ["image"])) for of in shards)
    return math.gcd(through.size, *(decode_image(row["image"]["bytes"]).shape[0] for row in rows))


def by_cyclegan(model: Path, portraits: list[Path], ids: list[str]) -> list[np.ndarray]:
    """The portraits of these ids in shards as CycleGAN translates them, at the height of its training."""
    gan = Translator.load(model)
    return list(gan.translate(read_side(portraits, [], gan.size, set(ids).__contains__, None).of(ids).images))


def asked_figures(way: Way, translated: Translated, through: ThroughMasks) -> Figures:
    """Figures by the masks that were painted, which have the other collection's proportions.

    Returns:
        `asked_miou`: the mean over portraits of the mIoU of what the other's U-Net sees with what was painted;
        `color_correlation`, with the colors of results where that U-Net sees each role, else where it was painted.
    """
    asked = np.stack([through.proportioned(mask) for mask in through.masks(way.source.images)])
    figures: Figures = {}
    if translated.masks is not None and way.segmenter is not None:
        figures["asked_miou"] = float(mious(translated.masks, resized_masks(asked, way.segmenter.size)).mean())
    if way.source.masks is not None:
        moved = asked if translated.masks is None else translated.masks
        figures["color_correlation"] = color_correlations(way.source.images, translated.images, way.source.masks, moved)
    return figures


def sheet_rows(
    name: str, way: Way, translated: Translated, through: ThroughMasks, by_gan: list[np.ndarray] | None
) -> dict[str, list[np.ndarray]]:
    """By caption the first portraits of a direction: as they are, by CycleGAN, their masks, and through these."""
    here, there = name.split("2")
    shown = way.source.images[:COLUMNS]
    rows = {here: list(shown)}
    if by_gan:
        rows["CycleGAN"] = by_gan
    classes = through.painter.classes
    masks = [through.as_classes(through.proportioned(mask)) for mask in through.masks(shown)]
    rows["mask"] = [colorize(mask, classes) for mask in masks]
    rows["through masks"] = list(translated.images[:COLUMNS])
    if (truth := way.truth()) is not None:
        rows[f"true {there}"] = list(truth.images[:COLUMNS])
    return rows
