"""Pseudo-labels looked over: the portraits that show how sure the network was, and how right where that is known."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from facemill.data.classes import CLASSES
from facemill.data.shards import decode_mask, open_shard, read_rows
from facemill.errors import UserError
from facemill.metrics.segmentation import confusion, iou

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Quantiles of one number of the portraits: `{"0.05": ..., ..., "0.95": ...}`."""
    return {str(q): float(value) for q, value in zip(QUANTILES, np.quantile(values, QUANTILES), strict=True)}


def sure_to_unsure(confidence: Sequence[float], each: int) -> dict[str, list[int]]:
    """Indices of the surest, the median and the least sure portraits, `each` of every kind, the surer first.

    With fewer than `3 * each` portraits each kind has a third of them, at least one.
    """
    order = np.argsort(-np.asarray(confidence), kind="stable").tolist()
    each = min(each, max(1, len(order) // 3))
    middle = (len(order) - each) // 2
    return {"surest": order[:each], "median": order[middle : middle + each], "least sure": order[-each:]}


def rows_at(shards: Sequence[Path], places: Collection[int], columns: list[str]) -> dict[int, dict]:
    """The rows at the given places, counted through all shards in order; other row groups are not read."""
    found: dict[int, dict] = {}
    start = 0
    for path in shards:
        with open_shard(path) as shard:
            for group in range(shard.num_row_groups):
                end = start + shard.metadata.row_group(group).num_rows
                if wanted := [place for place in places if start <= place < end]:
                    rows = shard.read_row_group(group, columns).to_pylist()
                    found |= {place: rows[place - start] for place in wanted}
                start = end
    return found


def against_truth(pseudo_labels: Sequence[Path], truth: Path, labelled: Collection[str]) -> dict[str, Any]:
    """IoU of the pseudo-labels with true masks, `truth/ID.png`, resized to theirs; without the hand-labelled portraits.

    Returns `miou_vs_truth`, `iou_vs_truth` by class (null where no portrait holds it) and `truth_images`. Raises
    `UserError` when no portrait, or not every one of them, has a true mask.
    """
    total = np.zeros((len(CLASSES), len(CLASSES)), np.int64)
    images = 0
    for id, mask in _unlabelled(pseudo_labels, labelled):
        path = truth / f"{id}.png"
        if not path.is_file():
            raise UserError(f"{path}: no such file; accepted: a true mask for every portrait")
        total += confusion(mask, _shrunk(decode_mask(path.read_bytes()), mask.shape))
        images += 1
    if not images:
        raise UserError(f"{truth}: every portrait was labelled by hand; none is left to measure pseudo-labels on")
    each = iou(total)
    return {
        "miou_vs_truth": float(np.nanmean(each)),
        "iou_vs_truth": {c: None if np.isnan(v) else float(v) for c, v in zip(CLASSES, each, strict=True)},
        "truth_images": images,
    }


def _unlabelled(pseudo_labels: Sequence[Path], labelled: Collection[str]) -> Iterator[tuple[str, np.ndarray]]:
    for row in read_rows(pseudo_labels, ["id", "mask"]):
        if row["id"] not in labelled:
            yield row["id"], decode_mask(row["mask"]["bytes"])


def _shrunk(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(Image.fromarray(mask).resize(shape[::-1], Image.Resampling.NEAREST))
