"""Rule `score_portraits`: acquisition scores for active learning, uncertainty and disagreement of two U-Nets."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from facemill.data.classes import ClassTable
from facemill.data.shards import count_rows, decode_mask, mask_classes, read_images, read_rows, write_shard
from facemill.inference.backends import fastest_backend
from facemill.log import progress
from facemill.metrics.segmentation import confusion, iou
from facemill.networks.store import load_model
from facemill.networks.unet import Unet
from facemill.segment.pseudo_label import pseudo_label_batches

SCHEMA = pa.schema([("id", pa.string()), ("uncertainty", pa.float32()), ("disagreement", pa.float32())])
"""`uncertainty`: mean entropy of the pseudo-label's pixels, in nats; `disagreement`: 1 less the mean IoU of two U-Nets'
masks."""


def score_portraits(*, model: Path, portraits: Path, pseudo_labels: Path, scores: Path) -> None:
    """Scores a shard of portraits by the uncertainty of their pseudo-labels and another U-Net's disagreement.

    Args:
        model: the other U-Net, a safetensors file or the folder that holds it.
        portraits: shard of portraits.
        pseudo_labels: shard of their pseudo-labels.
        scores: table with columns id, uncertainty, disagreement.
    """
    classes = mask_classes([pseudo_labels])
    backend = fastest_backend(load_model(Unet, model, classes))
    with ThreadPoolExecutor(2) as pool:
        batches = pseudo_label_batches(backend, classes, read_images(portraits), pool)
        others = (row for batch in batches for row in batch.select(["mask"]).to_pylist())
        rows = score_rows(read_rows([pseudo_labels], ["id", "mask", "entropy"]), others, classes)
        scored = list(progress(rows, f"score_portraits {portraits.stem}", count_rows([portraits])))
    write_shard(scores, scored, SCHEMA)


def score_rows(
    pseudo_labels: Iterable[dict[str, Any]], others: Iterable[dict[str, Any]], classes: ClassTable
) -> Iterator[dict[str, Any]]:
    """Yields the rows of `SCHEMA`.

    Args:
        pseudo_labels: rows (id, mask, entropy).
        others: rows (mask) of another U-Net for the same portraits.
        classes: the class table of both.
    """
    for row, other in zip(pseudo_labels, others, strict=True):
        masks = decode_mask(row["mask"]["bytes"], classes), decode_mask(other["mask"]["bytes"], classes)
        agreement = np.nanmean(iou(confusion(*masks, len(classes))))
        yield {"id": row["id"], "uncertainty": row["entropy"], "disagreement": 1 - agreement}
