"""Pseudo-labels by confidence, in numbers and pictures, and their IoU where the true masks are known."""

import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from facemill.data.classes import ClassTable
from facemill.data.shards import decode_image, decode_mask, mask_classes, read_rows, rows_at
from facemill.errors import UserError
from facemill.files import write_json
from facemill.imaging.figures import image_grid, overlay, save_picture
from facemill.metrics.segmentation import confusion, iou

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

SHOWN = 8
"""Portraits of a row of the picture."""


def show_pseudo_labels(
    *,
    portraits: list[Path],
    pseudo_labels: list[Path],
    gate: Path,
    timings: list[Path],
    labelled: list[Path],
    truth: Path | None = None,
    metrics: Path,
    picture: Path,
) -> None:
    """Sums up the pseudo-labels of all shards, and shows portraits by confidence.

    Args:
        portraits: shards of portraits.
        pseudo_labels: shards of their pseudo-labels, in the same order.
        gate: table of the portraits that the gate rejects.
        timings: JSON of `images` and `seconds` of each shard.
        labelled: shards of hand-labelled portraits, which are not compared with the true masks.
        truth: folder of true masks, ID.png, where they are known.
        metrics: JSON of the numbers; images per second are those of one job.
        picture: PNG of the portraits of highest, median and lowest confidence.
    """
    rows = list(read_rows(pseudo_labels, ["id", "confidence", "flip_disagreement"]))
    if not rows:
        raise UserError(f"{pseudo_labels[0].parent}: no portrait has a pseudo-label")
    rejected = [row["rejected"] is not None for row in read_rows([gate], ["rejected"])]
    confidence = [row["confidence"] for row in rows]
    shard_timings = [json.loads(path.read_text()) for path in timings]
    numbers: dict[str, Any] = {
        "images": len(rows),
        "images_per_second": sum(t["images"] for t in shard_timings) / sum(t["seconds"] for t in shard_timings),
        "accepted": rejected.count(False) / len(rows),
        "confidence": quantiles(confidence),
        "flip_disagreement": quantiles([row["flip_disagreement"] for row in rows]),
    }
    if truth:
        numbers |= compare_with_truth(pseudo_labels, truth, {row["id"] for row in read_rows(labelled, ["id"])})
    write_json(metrics, numbers)
    save_picture(_picture(portraits, pseudo_labels, confidence, rejected), picture)


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Quantiles of a number of the portraits: `{"0.05": ..., ..., "0.95": ...}`."""
    return {str(q): float(value) for q, value in zip(QUANTILES, np.quantile(values, QUANTILES), strict=True)}


def by_confidence(confidence: Sequence[float], count: int) -> dict[str, list[int]]:
    """Indices of the `count` portraits of highest, median and lowest confidence, each from higher to lower.

    With fewer than `3 * count` portraits each group has a third of them, at least one.
    """
    order = np.argsort(-np.asarray(confidence), kind="stable").tolist()
    count = min(count, max(1, len(order) // 3))
    middle = (len(order) - count) // 2
    return {
        "most confident": order[:count],
        "median": order[middle : middle + count],
        "least confident": order[-count:],
    }


def compare_with_truth(pseudo_labels: Sequence[Path], truth: Path, labelled: Collection[str]) -> dict[str, Any]:
    """IoU of the pseudo-labels with true masks, `truth/ID.png`, resized to their size.

    Args:
        pseudo_labels: shards.
        truth: the folder of true masks.
        labelled: ids of hand-labelled portraits, which are left out.

    Returns:
        `miou_vs_truth`, `iou_vs_truth` by class (null for a class without pixels) and `truth_images`.

    Raises:
        UserError: No portrait is left, or one has no true mask.
    """
    classes = mask_classes(pseudo_labels)
    total = np.zeros((len(classes), len(classes)), np.int64)
    images = 0
    for portrait_id, mask in _unlabelled_masks(pseudo_labels, labelled, classes):
        path = truth / f"{portrait_id}.png"
        if not path.is_file():
            raise UserError(f"{path}: no such file; accepted: a true mask for every portrait")
        true_mask = Image.fromarray(decode_mask(path.read_bytes(), classes))
        resized = true_mask.resize((mask.shape[1], mask.shape[0]), Image.Resampling.NEAREST)
        total += confusion(mask, np.asarray(resized), len(classes))
        images += 1
    if not images:
        raise UserError(f"{truth}: every portrait was labelled by hand; none is left to compare pseudo-labels on")
    class_iou = iou(total)
    return {
        "miou_vs_truth": float(np.nanmean(class_iou)),
        "iou_vs_truth": {
            name: None if np.isnan(value) else float(value)
            for name, value in zip(classes.names, class_iou, strict=True)
        },
        "truth_images": images,
    }


def _unlabelled_masks(
    pseudo_labels: Sequence[Path], labelled: Collection[str], classes: ClassTable
) -> Iterator[tuple[str, np.ndarray]]:
    for row in read_rows(pseudo_labels, ["id", "mask"]):
        if row["id"] not in labelled:
            yield row["id"], decode_mask(row["mask"]["bytes"], classes)


def _picture(
    portraits: Sequence[Path], pseudo_labels: Sequence[Path], confidence: Sequence[float], rejected: Sequence[bool]
) -> Image.Image:
    """A picture with two rows for each group of `by_confidence`: portraits, and their overlays."""
    classes = mask_classes(pseudo_labels)
    groups = by_confidence(confidence, SHOWN)
    indices = {index for group in groups.values() for index in group}
    images = {i: decode_image(row["image"]["bytes"]) for i, row in rows_at(portraits, indices, ["image"]).items()}
    masks = {
        i: decode_mask(row["mask"]["bytes"], classes) for i, row in rows_at(pseudo_labels, indices, ["mask"]).items()
    }
    grid, captions = [], []
    for name, group in groups.items():
        grid += [[images[i] for i in group], [overlay(images[i], masks[i], classes, 0.7) for i in group]]
        interval = f"{confidence[group[0]]:.3f} to {confidence[group[-1]]:.3f}"
        rejects = sum(rejected[i] for i in group)
        captions += [name, f"{interval}, {rejects} rejected" if rejects else interval]
    return image_grid(grid, captions=captions)
