"""Pseudo-labels: a U-Net's masks of a shard of portraits, with their confidence."""

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from facemill.data.batching import batched, map_ahead
from facemill.data.classes import ClassTable
from facemill.data.shards import IMAGE, count_rows, decode_image, encode_mask, read_rows, write_shard
from facemill.errors import UserError
from facemill.files import write_json
from facemill.inference.backends import Backend, Predictions, fastest_backend
from facemill.log import progress
from facemill.networks.store import load_model, model_classes
from facemill.networks.unet import Unet


def pseudo_label(*, model: Path, portraits: Path, pseudo_labels: Path, metrics: Path) -> None:
    """Labels a shard of portraits with a U-Net.

    Args:
        model: the U-Net, a safetensors file or the folder that holds it.
        portraits: shard of portraits.
        pseudo_labels: shard of the same rows' masks, confidence, entropy, flip disagreement and areas.
        metrics: JSON of `images` and `seconds`, from opening the shard to its last mask.
    """
    classes = model_classes(model)
    backend = fastest_backend(load_model(Unet, model))
    start = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        labelled = pseudo_label_rows(backend, classes, read_rows([portraits], ["id", "image"]), pool)
        rows = list(progress(labelled, f"pseudo_label {portraits.stem}", count_rows([portraits])))
    seconds = time.monotonic() - start
    write_shard(pseudo_labels, rows, pseudo_label_schema(classes), classes)
    write_json(metrics, {"images": len(rows), "seconds": round(seconds, 3)})


def pseudo_label_schema(classes: ClassTable) -> pa.Schema:
    """The columns of a shard of pseudo-labels.

    `confidence`: mean over the pixels of the most probable class's probability. `entropy`: mean over the pixels, in
    nats; `entropy_<class>`: over those of the class, null for none. `flip_disagreement`: share of the pixels whose
    class differs between the portrait and its mirror image. `area_<class>`: share of the pixels.
    """
    columns = ["confidence", "entropy", "flip_disagreement"]
    columns += [f"{number}_{name}" for number in ("entropy", "area") for name in classes.names]
    return pa.schema([("id", pa.string()), ("mask", IMAGE), *((column, pa.float32()) for column in columns)])


def pseudo_label_rows(
    backend: Backend, classes: ClassTable, portraits: Iterable[dict[str, Any]], pool: Executor
) -> Iterator[dict[str, Any]]:
    """Yields rows of `pseudo_label_schema`, in the portraits' order.

    While the network runs on one batch, the pool decodes the next ones and encodes the previous ones.

    Args:
        backend: a U-Net.
        classes: its class table.
        portraits: rows (id, image).
        pool: the threads.

    Raises:
        UserError: An image cannot be decoded.
    """

    def predict(batch: tuple[list[str], np.ndarray]) -> tuple[list[str], Predictions]:
        ids, images = batch
        padded = np.concatenate([images, images[-1:].repeat(backend.batch - len(images), 0)])  # the graph has one size
        return ids, Predictions(*(values[: len(ids)] for values in backend(padded)))

    def rows(labelled: tuple[list[str], Predictions]) -> list[dict[str, Any]]:
        ids, predictions = labelled
        portrait_predictions = map(Predictions._make, zip(*predictions, strict=True))
        return [_row(portrait_id, p, classes) for portrait_id, p in zip(ids, portrait_predictions, strict=True)]

    decoded = map_ahead(pool, _decode, batched(portraits, backend.batch), ahead=2 * backend.concurrency)
    with ThreadPoolExecutor(backend.concurrency) as network:
        labelled = map_ahead(network, predict, decoded, ahead=backend.concurrency)
        for batch in map_ahead(pool, rows, labelled):
            yield from batch


def _decode(batch: list[dict[str, Any]]) -> tuple[list[str], np.ndarray]:
    images = []
    for row in batch:
        try:
            images.append(decode_image(row["image"]["bytes"]))
        except UserError as error:
            raise UserError(f"portrait {row['id']}: {error}") from error
    return [row["id"] for row in batch], np.stack(images)


def _row(portrait_id: str, prediction: Predictions, classes: ClassTable) -> dict[str, Any]:
    """A row of `pseudo_label_schema` from the predictions for one portrait."""
    mask = encode_mask(prediction.masks, classes)
    row: dict[str, Any] = {"id": portrait_id, "mask": {"bytes": mask, "path": f"{portrait_id}.png"}}
    row |= {name: getattr(prediction, name) for name in ("confidence", "entropy", "flip_disagreement")}
    numbers = zip(classes.names, prediction.class_entropy, areas(prediction.masks, len(classes)), strict=True)
    for name, entropy, area in numbers:
        row |= {f"entropy_{name}": None if np.isnan(entropy) else entropy, f"area_{name}": area}
    return row


def areas(mask: np.ndarray, classes: int) -> np.ndarray:
    """Each class's share of the pixels of a mask: float64 (classes,)."""
    return np.bincount(mask.ravel(), minlength=classes) / mask.size
