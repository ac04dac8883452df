"""Evaluation of avatars: whether parts come back, colors, expression, stability; and pictures of some."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from facemill.avatars.avatar_figures import CELL, draw_confusion, draw_sheet
from facemill.avatars.cross_style import cross_style
from facemill.avatars.drawn import Drawer, Drawn, draw_all
from facemill.avatars.evaluation import Evaluation
from facemill.avatars.measured import SAMPLE_STYLE, Measured, read_column, read_measured
from facemill.avatars.part_maps import over, picture
from facemill.avatars.retrieval import Answers, all_answers, described, nearest_choices, statistics_of, summary
from facemill.data.classes import SEVEN
from facemill.data.shards import read_rows
from facemill.errors import UserError
from facemill.files import atomic_write, write_json
from facemill.imaging.figures import colorize
from facemill.latent.rows import sample_ids
from facemill.log import log

MATCHED = 2000
"""Largest number of portraits that are matched."""

AGAIN = 0.2
"""Share of each style's drawn portraits that are drawn again for the other styles."""

RetrievalAnswers = Mapping[tuple[str, str], Mapping[str, Answers]]
"""The answers by kind of masks and style."""


def evaluate_avatars(
    *,
    portraits: list[Path],
    pseudo_labels: list[Path],
    labels: list[Path] | None = None,
    regions: list[Path],
    statistics: Path,
    parts: list[Path],
    avatars: list[Path],
    source: Path | None = None,
    extractors: Path | None = None,
    size: int,
    looks: int,
    shown: int,
    seed: int,
    drawn: int = 100,
    metrics: Path,
    table: Path,
    confusion: Path,
    sheet: Path,
) -> None:
    """Measures how well avatars are matched, on portraits without labels and on portraits that the styles draw.

    Args:
        portraits: shards of the collection.
        pseudo_labels: shards of the portraits' masks.
        labels: shards of labelled portraits, which the U-Net learned from; the others are measured where there are any.
        regions: shards of the portraits' parts.
        statistics: of the collection's parts.
        parts: the tables of the styles' parts; what they are is in the JSON beside each.
        avatars: shards of avatars, in folders named as the styles.
        source: the folder that the sample was rendered into, where the collection is the sample.
        extractors: the JSON of the comparison of extractors.
        size: pixels at which styles are drawn.
        looks: slightly moved copies of a portrait whose descriptors are averaged.
        shown: portraits on the contact sheet.
        seed: of the choice of portraits, and of those that are drawn.
        drawn: number of portraits that each style draws.
        metrics: JSON of all figures; null is what cannot be measured.
        table: CSV of how often each variant comes back.
        confusion: PNG of variants taken for one another.
        sheet: PNG of portraits, masks and avatars.
    """
    found = measured_portraits(portraits, labels or [], regions, seed)
    drawer = Drawer(size, looks)
    evaluation = Evaluation(found, statistics, parts, portraits, pseudo_labels, avatars, drawer, seed)
    figures = draw_all({name: library.style for name, library in evaluation.libraries.items()}, drawn, drawer, seed)
    answers = retrieve(evaluation, figures, source)
    write_json(metrics, measure(evaluation, figures, answers, extractors))
    write_table(table, answers)
    draw_confusion({f"{name}, {masks}": of for (masks, name), of in answers.items()}, confusion)
    show(evaluation, shown, sheet)


def measured_portraits(
    portraits: Sequence[Path], labels: Sequence[Path], regions: Sequence[Path], seed: int
) -> Measured:
    """At most `MATCHED` of the portraits without labels, or of all where all have some."""
    labelled = {row["id"] for row in read_rows(labels, ["id"])}
    ids = [row["id"] for row in read_rows(portraits, ["id"])]
    held_out = [row_id for row_id in ids if row_id not in labelled] or ids
    measured = read_measured(regions, sample_ids(held_out, MATCHED, f"avatars-{seed}"))
    if not measured.ids:
        raise UserError(f"{regions[0]}: has no parts of portraits; accepted: masks that show some")
    return measured


def measure(
    evaluation: Evaluation, figures: Mapping[str, Sequence[Drawn]], answers: RetrievalAnswers, extractors: Path | None
) -> dict[str, Any]:
    """All figures; arguments as those of `evaluate_avatars`, and the portraits that the styles drew, and answers."""
    again = math.ceil(AGAIN * max(map(len, figures.values())))
    results = {
        "portraits": len(evaluation.measured.ids),
        "retrieval": summarize(answers),
        "extractors": json.loads(extractors.read_bytes()) if extractors else None,
        "color": evaluation.color(),
        "expression": evaluation.expression(figures),
        "stability": evaluation.stability(),
        "cross_style": cross_style(figures, evaluation.libraries, evaluation.drawer, again, evaluation.seed),
    }
    for (masks, name), of_roles in answers.items():
        log.info("parts that come back, %s, %s: mean of roles %s", name, masks, summary(of_roles)["mean"])
    return results


def retrieve(evaluation: Evaluation, drawn: Mapping[str, Sequence[Drawn]], source: Path | None) -> RetrievalAnswers:
    """The answers for the sample's portraits, by true masks and the U-Net's, and for those that the styles draw."""
    answers: dict[tuple[str, str], Mapping[str, Answers]] = {}
    if source and SAMPLE_STYLE in evaluation.libraries:
        answers["true masks", SAMPLE_STYLE] = evaluation.by_true_masks(source)
        answers["U-Net's masks", SAMPLE_STYLE] = evaluation.by_unet_masks(source)
    for name, library in evaluation.libraries.items():
        descriptors = [described(portrait.parts) for portrait in drawn[name]]
        nearest = nearest_choices(library, descriptors, statistics_of(descriptors))
        answers["drawn", name] = all_answers(library.style, [portrait.variants for portrait in drawn[name]], nearest)
    return answers


def summarize(answers: RetrievalAnswers) -> dict[str, Any]:
    """The figures of retrieval; null for the sample's own where the collection is another."""
    own = {masks: summary(of) for (masks, _), of in answers.items() if masks != "drawn"}
    return {
        "true_masks": own.get("true masks"),
        "unet_masks": own.get("U-Net's masks"),
        "styles": {name: summary(of) for (masks, name), of in answers.items() if masks == "drawn"},
    }


def write_table(path: Path, answers: RetrievalAnswers) -> None:
    """Writes a row for each variant that portraits were drawn with: how often it is the nearest, what is otherwise."""
    rows = [
        {"masks": masks, "style": name, "role": role, **row}
        for (masks, name), of_roles in answers.items()
        for role, of_role in of_roles.items()
        for row in of_role.rows()
    ]
    columns = ["masks", "style", "role", "variant", "n", "top1", "taken_for"]
    with atomic_write(path) as tmp, tmp.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def show(evaluation: Evaluation, shown: int, path: Path) -> None:
    """Draws the contact sheet of some of the portraits."""
    ids = evaluation.sample(shown, "shown")
    drawings = [read_column(evaluation.avatars_of(name), ids, "svg") for name in evaluation.libraries]
    rows = [
        [image, colorize(mask, SEVEN), *(over(picture(of[row_id], CELL)) for of in drawings)]
        for row_id, (image, mask) in zip(ids, evaluation.images(ids), strict=True)
    ]
    draw_sheet(rows, ids, [library.style for library in evaluation.libraries.values()], path)
