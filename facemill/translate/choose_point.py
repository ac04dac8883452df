"""The choice among the points of a training, by a rule, on portraits that only settings are chosen by."""

import csv
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from facemill.files import atomic_write
from facemill.inference.translator import Translator
from facemill.log import log, progress
from facemill.networks.store import model_settings
from facemill.synthesize.train_gaugan import copy_model
from facemill.translate.figures import Figures
from facemill.translate.measures import Way, make_judges, make_ways, translate, way_figures
from facemill.translate.pictures import plot_points
from facemill.translate.sides import read_collections

COLUMNS = (
    "frechet_scaled",
    "frechet_scaled_error",
    "portrait_miou",
    "portrait_miou_error",
    "mask_miou",
    "truth",
    "cycle",
    "hidden_messages",
    "changed",
    "diversity",
)
"""Figures of each direction that the table has, where they are known."""

LAYOUT = 0.8
"""Least mIoU of masks at the chosen point, as a share of the best point's."""

SHOWN = {"Frechet distance, scaled": "frechet_scaled", "mIoU of masks": "portrait_miou"}
"""Figures of the plot, by their titles."""


def choose_point(
    *,
    points_a2b: list[Path],
    points_b2a: list[Path] | None = None,
    portraits: list[Path],
    other: list[Path],
    masks: list[Path] | None = None,
    unet: Path | None = None,
    other_unet: Path | None = None,
    vae: Path | None = None,
    inception_weights: Path | None = None,
    paired: bool = False,
    holdout: float,
    a2b: Path,
    b2a: Path | None = None,
    points: Path,
    picture: Path,
) -> None:
    """Measures the points of a training, and copies the translators of the one that `chosen_point` chooses.

    Args:
        points_a2b: the translators of this collection's portraits at each point, safetensors files.
        points_b2a: those of the other's; none where one direction was trained.
        portraits: shards of this collection.
        other: shards of the other collection, with masks where they are known.
        masks: shards of this collection's masks, where there are any.
        unet: the U-Net that knows this collection, where there is one.
        other_unet: the U-Net that knows the other.
        vae: the VAE, whose features stand for a U-Net's where there is none.
        inception_weights: of FID's Inception, whose features are used where they are given.
        paired: whether portraits of one id are each other's true answers.
        holdout: share of the portraits that is held out.
        a2b: the chosen translator of this collection's portraits; its JSON is written beside it.
        b2a: that of the other's.
        points: CSV with the figures of each point.
        picture: PNG of the two by which the point is chosen.
    """
    backs: Sequence[Path | None] = points_b2a or [None] * len(points_a2b)
    pairs = [
        (Translator.load(there), Translator.load(back) if back else None)
        for there, back in zip(points_a2b, backs, strict=True)
    ]
    unets, size = (unet, other_unet), pairs[0][0].size
    collections = read_collections(portraits, other, masks or [], unets, size, holdout, paired=paired, choices=True)
    judges = make_judges(unets, vae, inception_weights, collections[0].side.images)
    ways = make_ways(pairs[0], collections, judges, paired)
    measured = [figures_of_point(ways, *pair) for pair in progress(pairs, "choose_point", len(pairs), "points")]
    chosen = chosen_point(measured)
    images = [model_settings(path)["images"] for path in points_a2b]
    log.info("cyclegan: the point after %d images is chosen", images[chosen])
    write_points(points, images, measured, chosen)
    plot_points(picture, images, lines_of(measured), chosen)
    copy_model(points_a2b[chosen], a2b)
    if b2a and points_b2a:
        copy_model(points_b2a[chosen], b2a)


def figures_of_point(ways: dict[str, Way], there: Translator, back: Translator | None) -> dict[str, Figures]:
    """The figures of each direction by the translators of a point."""
    translators = {"a2b": (there, back), "b2a": (back, there)}
    of_point = {}
    for name, way in ways.items():
        one, other = translators[name]
        assert one, "there is no direction without a translator"
        own = replace(way, there=one, back=other)
        of_point[name] = way_figures(own, translate(own))
    return of_point


def chosen_point(measured: Sequence[dict[str, Figures]]) -> int:
    """The index of the latest point that is as near as the nearest, among those that keep the layout best.

    These are the points whose mean mIoU of masks is at least `LAYOUT` of the best one's; all, where there are no masks.
    The manner comes while the layout slowly goes: nearer to the best are early points alone. The latest of them is
    chosen whose scaled Frechet distance is at most one standard error above the lowest one: few portraits do not tell
    more. All figures are means of the directions that have them; at a point without a distance it is infinite.

    Args:
        measured: of each point the figures of each direction.
    """
    candidates: Sequence[int] = range(len(measured))
    if known := [way for way in measured[0] if all("portrait_miou" in of_point[way] for of_point in measured)]:
        mious, _ = means(measured, known, "portrait_miou")
        candidates = [point for point in candidates if mious[point] >= LAYOUT * max(mious)]
    known = [way for way in measured[0] if any(of_point[way]["frechet_scaled"] is not None for of_point in measured)]
    distances, errors = means(measured, known, "frechet_scaled")
    nearest = min(candidates, key=distances.__getitem__)
    return max(point for point in candidates if distances[point] <= distances[nearest] + errors[nearest])


def means(measured: Sequence[dict[str, Figures]], ways: Sequence[str], key: str) -> tuple[list[float], list[float]]:
    """At each point the mean of a figure over directions, infinite where one has none, and its standard error."""
    values, errors = [], []
    for of_point in measured:
        figures = [of_point[way][key] for way in ways]
        values.append(sum(math.inf if figure is None else figure for figure in figures) / max(len(ways), 1))
        errors.append(math.hypot(*(of_point[way][f"{key}_error"] or 0 for way in ways)) / max(len(ways), 1))
    return values, errors


def lines_of(measured: Sequence[dict[str, Figures]]) -> dict[str, dict[str, list[float | None]]]:
    """By title of `SHOWN` and direction the figures of the points; without those that a direction lacks."""
    return {
        title: {name: [of_point[name][key] for of_point in measured] for name in measured[0]}
        for title, key in SHOWN.items()
        if all(key in figures for figures in measured[0].values())
    }


def write_points(path: Path, images: Sequence[int], measured: Sequence[dict[str, Figures]], chosen: int) -> None:
    """Writes a row for each point: its number, the images that the training had seen, figures of each direction.

    `chosen` is 1 in the row of the chosen point, 0 elsewhere; what is not known is an empty cell.
    """
    rows = []
    for number, (seen, of_point) in enumerate(zip(images, measured, strict=True)):
        row: dict[str, object] = {"point": number + 1, "images": seen, "chosen": int(number == chosen)}
        for name, figures in of_point.items():
            row |= {f"{name}_{key}": figures.get(key) for key in COLUMNS}
            row[f"{name}_called"] = figures["called"]["results"]
        rows.append(row)
    with atomic_write(path) as tmp, tmp.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
