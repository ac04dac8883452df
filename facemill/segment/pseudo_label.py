"""Pseudo-labels: a U-Net's masks of a whole shard of portraits, and how sure it was of each."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

import numpy as np
import pyarrow as pa

from facemill.data.classes import CLASSES
from facemill.data.shards import IMAGE, decode_image, encode_mask
from facemill.errors import UserError
from facemill.inference.backends import Labels
from facemill.inference.segmenter import batched, map_ahead

SCHEMA = pa.schema(
    [("id", pa.string()), ("mask", IMAGE)]
    + [(name, pa.float32()) for name in ("confidence", "entropy", "flip_disagreement")]
    + [(f"{number}_{name}", pa.float32()) for number in ("entropy", "area") for name in CLASSES]
)
"""`confidence`: mean over the pixels of the likeliest class's probability; `entropy`: mean over the pixels, in nats,
and over those of each class, null where there are none; `flip_disagreement`: share of the pixels whose class changes when the
portrait is mirrored; `area_<class>`: share of the pixels."""


def pseudo_labels(label: Callable[[np.ndarray], Labels], portraits: Iterable[dict], pool: Executor) -> Iterator[dict]:
    """Yields the rows of `SCHEMA` for portraits (id, image), in their order; `label` comes from `labeller`.

    While the network runs on one batch, the pool decodes the next ones and encodes those before. Raises `UserError` for
    an image that cannot be decoded.
    """

    def through_network(batch: tuple[list[str], np.ndarray]) -> tuple[list[str], Labels]:
        ids, images = batch
        full = np.concatenate([images, images[-1:].repeat(label.batch - len(images), 0)])  # the graph has one size
        return ids, Labels(*(values[: len(ids)] for values in label(full)))

    decoded = map_ahead(pool, _decode, batched(portraits, label.batch), ahead=2 * label.at_once)
    with ThreadPoolExecutor(label.at_once) as network:
        labelled = map_ahead(network, through_network, decoded, ahead=label.at_once)
        for rows in map_ahead(pool, _rows, labelled):
            yield from rows


def _decode(batch: list[dict]) -> tuple[list[str], np.ndarray]:
    images = []
    for row in batch:
        try:
            images.append(decode_image(row["image"]["bytes"]))
        except UserError as error:
            raise UserError(f"portrait {row['id']}: {error}") from error
    return [row["id"] for row in batch], np.stack(images)


def _rows(labelled: tuple[list[str], Labels]) -> list[dict]:
    ids, labels = labelled
    return [
        {"id": id, "mask": {"bytes": encode_mask(one.masks), "path": f"{id}.png"}}
        | {"confidence": one.confidence, "entropy": one.entropy, "flip_disagreement": one.flip_disagreement}
        | {f"entropy_{c}": None if np.isnan(v) else v for c, v in zip(CLASSES, one.class_entropy, strict=True)}
        | {f"area_{c}": area for c, area in zip(CLASSES, areas(one.masks), strict=True)}
        for id, one in zip(ids, map(Labels._make, zip(*labels, strict=True)), strict=True)
    ]


def areas(mask: np.ndarray) -> np.ndarray:
    """Each class's share of the pixels of a mask: float64 (classes,)."""
    return np.bincount(mask.ravel(), minlength=len(CLASSES)) / mask.size
