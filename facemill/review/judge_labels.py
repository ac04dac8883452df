"""Rule `judge_labels`: label errors, which networks trained without the labels reveal (confident learning).

Confident learning (Northcutt et al. 2021, https://arxiv.org/abs/1911.00068): the probabilities are out of fold, and
a label is doubted where the network is confident of another class.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image

from facemill.data.batching import batched
from facemill.data.classes import IGNORE, ClassTable
from facemill.data.shards import decode_image, decode_mask, mask_classes, read_rows
from facemill.files import atomic_write
from facemill.imaging.figures import colorize, image_grid, overlay, save_picture
from facemill.inference.segmenter import BATCH, Segmenter
from facemill.log import log
from facemill.metrics.outliers import robust_z

MIN_MAD = 0.02
"""Added to the deviations of a class, for classes on which network and labels nearly always agree."""

EXAMPLES = 12
"""Portraits in the picture."""


class LabelIssues(NamedTuple):
    """A label against a network's probabilities."""

    prediction: np.ndarray
    """The network's mask: uint8 (S, S)."""
    margin: np.ndarray
    """The predicted class's probability less the label's: float32 (S, S) in [0, 1]; 0 where ignored."""
    contradictions: np.ndarray
    """The mean margin where label or prediction is a class: (classes,), NaN for a class of neither."""


def judge_labels(*, models: list[Path], held_out: list[Path], ranking: Path, picture: Path) -> None:
    """Ranks labelled portraits by how much networks that were trained without them contradict their labels.

    Args:
        models: U-Nets, one for each fold.
        held_out: the labelled portraits of each fold, on which its network was not trained.
        ranking: CSV of all portraits, the most contradicted first: in which class, its robust z-score among all
            portraits, and the contradiction of each class, 0 to 1, empty for a class of neither label nor network.
        picture: PNG of the first: portrait, label, the network's mask, and the contradiction (white).
    """
    classes = mask_classes(held_out)
    rows: list[dict[str, Any]] = []
    issues: list[LabelIssues] = []
    for model, path in zip(models, held_out, strict=True):
        segmenter = Segmenter.load(model, classes)
        for batch in batched(read_rows([path]), BATCH):
            probs = segmenter.logits([decode_image(row["image"]["bytes"]) for row in batch]).softmax(1).cpu().numpy()
            labels = [decode_mask(row["mask"]["bytes"], classes) for row in batch]
            issues += map(score_label, probs, labels)
            rows += batch
    contradictions = np.stack([issue.contradictions for issue in issues])
    z = robust_z(contradictions, MIN_MAD)
    order = np.argsort(-z.max(1), kind="stable").tolist()
    worst = [classes.names[c] for c in z.argmax(1)]
    with atomic_write(ranking) as tmp, tmp.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "class", "deviations", *classes.names])
        for i in order:
            numbers = ["" if np.isnan(value) else f"{value:.4f}" for value in contradictions[i]]
            writer.writerow([rows[i]["id"], worst[i], f"{z[i].max():.2f}", *numbers])
    log.info("most contradicted: %s", ", ".join(f"{rows[i]['id']} ({worst[i]})" for i in order[:5]))
    first = order[:EXAMPLES]
    captions = [f"{rows[i]['id'][:16]}: {worst[i]}" for i in first]
    save_picture(show_issues([rows[i] for i in first], [issues[i] for i in first], captions, classes), picture)


def score_label(probs: np.ndarray, label: np.ndarray) -> LabelIssues:
    """Compares probabilities, float32 (classes, S, S), with a label, class ids, uint8 (S, S)."""
    labelled = label != IGNORE
    prediction = probs.argmax(0).astype(np.uint8)
    label_probs = np.take_along_axis(probs, np.where(labelled, label, 0)[None].astype(np.int64), 0)[0]
    margin = np.where(labelled, probs.max(0) - label_probs, 0).astype(np.float32)
    regions = [labelled & ((prediction == c) | (label == c)) for c in range(len(probs))]
    contradictions = [margin[region].mean() if region.any() else np.nan for region in regions]
    return LabelIssues(prediction, margin, np.array(contradictions))


def show_issues(
    rows: Sequence[dict[str, Any]], issues: Sequence[LabelIssues], captions: Sequence[str], classes: ClassTable
) -> Image.Image:
    """A picture with a row for each labelled portrait: label and prediction side by side, and the margin."""
    grid = []
    for row, issue in zip(rows, issues, strict=True):
        image, label = decode_image(row["image"]["bytes"]), decode_mask(row["mask"]["bytes"], classes)
        margin = cv2.cvtColor((issue.margin * 255).astype(np.uint8), cv2.COLOR_GRAY2RGB)
        masks = colorize(label, classes), colorize(issue.prediction, classes)
        grid.append([image, overlay(image, label, classes), *masks, margin])
    return image_grid(grid, ["portrait", "label over it", "label", "network", "contradiction"], captions)
