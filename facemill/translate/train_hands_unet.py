"""A U-Net that knows both hands of the sample: one that was trained on a single hand sees nothing in the other."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from facemill.config.segment import UnetTrainConfig
from facemill.data.classes import ClassTable
from facemill.data.dataset import ShardDataset
from facemill.data.shards import IMAGE, encode_jpeg, encode_mask, mask_classes, write_shard
from facemill.data.splits import trained_on
from facemill.segment.train_unet import train_unet
from facemill.translate.figures import resized_masks
from facemill.translate.shrink import shrunk
from facemill.translate.sides import to_image

SCHEMA = pa.schema([("id", pa.string()), ("image", IMAGE), ("mask", IMAGE)])


def train_hands_unet(
    *,
    settings: UnetTrainConfig,
    size: int,
    seed: int,
    holdout: float,
    portraits: list[Path],
    masks: list[Path],
    other: list[Path],
    labelled: Path,
    model: Path,
    curves: Path,
) -> None:
    """Trains a U-Net on the portraits of both hands that are not held out, at the size at which they are translated.

    Args:
        settings: how it is built and trained.
        size: side in pixels.
        seed: seed of weights and order.
        holdout: share of the portraits that is held out.
        portraits: shards of the sample's portraits.
        masks: shards of their masks.
        other: shards of the portraits by the other hand, with their masks.
        labelled: shard of the portraits and masks that are learned from.
        model: the trained U-Net, a safetensors file.
        curves: CSV of the loss.
    """
    classes = mask_classes(other)
    classes.check_same(mask_classes(masks), str(masks[0]))
    rows = [
        row
        for name, shards, given in (("a", portraits, masks), ("b", other, []))
        for row in shrunk_rows(name, ShardDataset(shards, given, trained_on(shards, holdout)), size, classes)
    ]
    write_shard(labelled, rows, SCHEMA, classes)
    train_unet(version="hands", settings=settings, size=size, seed=seed, train=labelled, model=model, curves=curves)


def shrunk_rows(name: str, rows: ShardDataset, size: int, classes: ClassTable) -> Iterator[dict]:
    """Yields the rows of a collection's portraits with their masks, both at a height; ids start with a name."""
    for row_id, (pixels, mask) in zip(rows.ids, rows, strict=True):
        small = to_image(shrunk(pixels[None], size, rows.images[0])[0])
        [small_mask] = resized_masks(mask.numpy()[None], small.shape[:2])
        yield {
            "id": f"{name}-{row_id}",
            "image": {"bytes": encode_jpeg(small), "path": f"{row_id}.jpg"},
            "mask": {"bytes": encode_mask(small_mask, classes), "path": f"{row_id}.png"},
        }
