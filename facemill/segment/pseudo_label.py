"""Pseudo-labels: a U-Net's masks of a whole shard of portraits, and how sure it was of each."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor

import numpy as np
import pyarrow as pa
import torch

from facemill.classes import CLASSES
from facemill.errors import BadInput
from facemill.segment.predict import BATCH, batched, logits_of, overlapped
from facemill.segment.unet import Unet
from facemill.shards import IMAGE, decode_image, encode_mask

SCHEMA = pa.schema(
    [("id", pa.string()), ("mask", IMAGE), ("confidence", pa.float32()), ("entropy", pa.float32())]
    + [(f"area_{name}", pa.float32()) for name in CLASSES]
)
"""`confidence`: mean over the pixels of the likeliest class's probability; `entropy`: mean over the pixels, in nats;
`area_<class>`: share of the pixels."""


def pseudo_labels(unet: Unet, portraits: Iterable[dict], pool: Executor) -> Iterator[dict]:
    """Yields the rows of `SCHEMA` for portraits (id, image), in their order.

    While the network runs on one batch, the pool decodes the next and encodes the one before. Raises `BadInput` for
    an image that cannot be decoded.
    """
    decoded = overlapped(pool, _decode, batched(portraits, BATCH))
    labelled = ((ids, *_label(unet, images)) for ids, images in decoded)
    for rows in overlapped(pool, _rows, labelled):
        yield from rows


def _decode(batch: list[dict]) -> tuple[list[str], list[np.ndarray]]:
    images = []
    for row in batch:
        try:
            images.append(decode_image(row["image"]["bytes"]))
        except BadInput as error:
            raise BadInput(f"portrait {row['id']}: {error}") from error
    return [row["id"] for row in batch], images


@torch.inference_mode()
def _label(unet: Unet, images: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Masks uint8 (B, S, S), confidence and entropy float32 (B,)."""
    log_probability = logits_of(unet, images).log_softmax(1)
    best, masks = log_probability.max(1)
    entropy = -(log_probability.exp() * log_probability).sum(1)
    confidence, entropy = best.exp().mean((1, 2)), entropy.mean((1, 2))
    return masks.to(torch.uint8).cpu().numpy(), confidence.cpu().numpy(), entropy.cpu().numpy()


def _rows(labelled: tuple[list[str], np.ndarray, np.ndarray, np.ndarray]) -> list[dict]:
    return [
        {"id": id, "mask": {"bytes": encode_mask(mask), "path": f"{id}.png"}, "confidence": sure, "entropy": entropy}
        | {f"area_{name}": area for name, area in zip(CLASSES, areas(mask), strict=True)}
        for id, mask, sure, entropy in zip(*labelled, strict=True)
    ]


def areas(mask: np.ndarray) -> np.ndarray:
    """Each class's share of the pixels of a mask: float64 (classes,)."""
    return np.bincount(mask.ravel(), minlength=len(CLASSES)) / mask.size
