"""Evaluation of translations through masks, and a sheet of them beside those of CycleGAN."""

from pathlib import Path
from typing import Any

import numpy as np

from facemill.files import write_json
from facemill.imaging.figures import colorize, save_picture
from facemill.inference.translator import Translator
from facemill.translate.figures import Figures, mious, resized_masks
from facemill.translate.measures import Translated, Way, make_judge, make_ways, translate, way_figures
from facemill.translate.pictures import COLUMNS, sheet
from facemill.translate.sides import read_collections
from facemill.translate.through_masks import ThroughMasks
from facemill.translate.translate_portraits import at_height

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
    unets = unet, other_unet
    size = max(translator.size for translator in translators.values())
    collections = read_collections(portraits, other, masks or [], unets, size, holdout, paired=paired, choices=False)
    images = collections[0].side.images
    judges = [make_judge(known or unet or other_unet, None, inception_weights, images) for known in unets]
    both: list[Any] = [translators.get(name) for name in DIRECTIONS]
    ways = make_ways(both, collections, judges, paired)
    for way in ways.values():
        way.back = None  # the way back would be a cycle through two models that were not trained for one
    done = {name: (way, translate(way)) for name, way in ways.items()}
    figures = {name: way_figures(*of_way) | asked_figures(*of_way, translators[name]) for name, of_way in done.items()}
    write_json(metrics, figures)
    gans = {path.stem: Translator.load(path) for path in cyclegan or []}
    parts = [sheet_rows(name, *of_way, translators[name], gans.get(name)) for name, of_way in done.items()]
    save_picture(sheet(parts), picture)


def asked_figures(way: Way, translated: Translated, through: ThroughMasks) -> Figures:
    """How well results show the masks that were painted, which have the other collection's proportions.

    Returns:
        `asked_miou`: the mean over portraits of the mIoU of what the other's U-Net sees with what was painted.
    """
    if translated.masks is None or way.eyes is None:
        return {}
    asked = np.stack([through.proportioned(mask) for mask in through.masks(way.source.images)])
    return {"asked_miou": float(mious(translated.masks, resized_masks(asked, way.eyes.size)).mean())}


def sheet_rows(
    name: str, way: Way, translated: Translated, through: ThroughMasks, gan: Translator | None
) -> dict[str, list[np.ndarray]]:
    """By caption the first portraits of a direction: as they are, by CycleGAN, their masks, and through these."""
    here, there = name.split("2")
    shown = way.source.images[:COLUMNS]
    rows = {here: list(shown)}
    if gan:
        rows["CycleGAN"] = list(gan.translate(np.stack([at_height(image, gan.size) for image in shown])))
    classes = through.painter.classes
    masks = [through.as_classes(through.proportioned(mask)) for mask in through.masks(shown)]
    rows["mask"] = [colorize(mask, classes) for mask in masks]
    rows["through masks"] = list(translated.images[:COLUMNS])
    if (truth := way.truth()) is not None:
        rows[f"true {there}"] = list(truth.images[:COLUMNS])
    return rows
