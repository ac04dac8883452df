"""Pseudo-labels: a U-Net's masks of a shard of portraits, with their confidence."""

import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa

from facemill.data.batching import batched, map_ahead
from facemill.data.classes import ClassTable
from facemill.data.shards import IMAGE, count_rows, decode_image, encode_mask, read_images, write_batches
from facemill.errors import UserError
from facemill.files import write_json
from facemill.inference.backends import Backend, Predictions, fastest_backend
from facemill.log import progress
from facemill.networks.store import load_model, model_classes
from facemill.networks.unet import Unet

BATCHES_AHEAD = 3
"""Batches for each of the network's threads that are decoded before it needs them, and encoded behind it."""


def pseudo_label(
    *, model: Path, portraits: Path, threads: int | None = None, pseudo_labels: Path, metrics: Path
) -> None:
    """Labels a shard of portraits with a U-Net.

    Args:
        model: the U-Net, a safetensors file or the folder that holds it.
        portraits: shard of portraits.
        threads: that decode portraits and encode masks; without it, one for each processor.
        pseudo_labels: shard of the same rows' masks, confidence, entropy, flip disagreement and areas.
        metrics: JSON of `images` and `seconds`, from opening the one shard to closing the other.
    """
    classes = model_classes(model)
    backend = fastest_backend(load_model(Unet, model))
    start = time.monotonic()
    total = count_rows([portraits])
    with ThreadPoolExecutor(threads or len(os.sched_getaffinity(0))) as pool:
        batches = pseudo_label_batches(backend, classes, read_images(portraits), pool)
        labelled = progress(batches, f"pseudo_label {portraits.stem}", total, step=backend.batch)
        write_batches(pseudo_labels, labelled, pseudo_label_schema(classes), classes)
    write_json(metrics, {"images": total, "seconds": round(time.monotonic() - start, 3)})


def pseudo_label_schema(classes: ClassTable) -> pa.Schema:
    """The columns of a shard of pseudo-labels.

    `confidence`: mean over the pixels of the most probable class's probability. `entropy`: mean over the pixels, in
    nats; `entropy_<class>`: over those of the class, null for none. `flip_disagreement`: share of the pixels whose
    class differs between the portrait and its mirror image. `area_<class>`: share of the pixels.
    """
    columns = ["confidence", "entropy", "flip_disagreement"]
    columns += [f"{number}_{name}" for number in ("entropy", "area") for name in classes.names]
    return pa.schema([("id", pa.string()), ("mask", IMAGE), *((column, pa.float32()) for column in columns)])


def pseudo_label_batches(
    backend: Backend, classes: ClassTable, portraits: Iterable[tuple[str, bytes | memoryview]], pool: Executor
) -> Iterator[pa.RecordBatch]:
    """Yields batches of rows of `pseudo_label_schema`, in the portraits' order.

    While the network runs on one batch, the pool decodes the next ones and encodes the previous ones.

    Args:
        backend: a U-Net.
        classes: its class table.
        portraits: ids and encoded images.
        pool: the threads.

    Raises:
        UserError: An image cannot be decoded.
    """

    def predict(batch: list[tuple[str, np.ndarray]]) -> tuple[list[str], Predictions]:
        return [portrait_id for portrait_id, _ in batch], backend([image for _, image in batch])

    def encode(predicted: tuple[list[str], Predictions]) -> pa.RecordBatch:
        return _record_batch(*predicted, classes)

    few = max(1, backend.batch // 8)  # so that the first batch is decoded by several threads
    ahead = BATCHES_AHEAD * backend.concurrency
    decoded = map_ahead(pool, _decode, batched(portraits, few), ahead=ahead * backend.batch // few)
    with ThreadPoolExecutor(backend.concurrency) as network:
        predicted = map_ahead(network, predict, batched(chain.from_iterable(decoded), backend.batch), ahead=ahead)
        yield from map_ahead(pool, encode, predicted, ahead=ahead)


def _decode(portraits: list[tuple[str, bytes | memoryview]]) -> list[tuple[str, np.ndarray]]:
    decoded = []
    for portrait_id, encoded in portraits:
        try:
            decoded.append((portrait_id, decode_image(encoded)))
        except UserError as error:
            raise UserError(f"portrait {portrait_id}: {error}") from error
    return decoded


def _record_batch(ids: list[str], predictions: Predictions, classes: ClassTable) -> pa.RecordBatch:
    """Rows of `pseudo_label_schema` from the predictions for portraits."""
    masks = [encode_mask(mask, classes) for mask in predictions.masks]
    areas = [class_areas(mask, len(classes)) for mask in predictions.masks]
    numbers = [predictions.confidence, predictions.entropy, predictions.flip_disagreement]
    numbers += [*predictions.class_entropy.T, *np.array(areas, np.float32).T]
    paths = [f"{portrait_id}.png" for portrait_id in ids]
    images = pa.StructArray.from_arrays([pa.array(masks, pa.binary()), pa.array(paths)], fields=list(IMAGE))
    columns = [pa.array(ids, pa.string()), images]
    columns += [pa.array(values, pa.float32(), from_pandas=True) for values in numbers]  # NaN becomes null
    return pa.RecordBatch.from_arrays(columns, schema=pseudo_label_schema(classes))


def class_areas(mask: np.ndarray, classes: int) -> list[float]:
    """Each class's share of the pixels of a mask, uint8; like this five times as fast as by `numpy.bincount`."""
    return [cv2.countNonZero((mask == c).view(np.uint8)) / mask.size for c in range(classes)]
