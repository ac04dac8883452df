"""Portraits of one collection in the manner of the other through their masks, as shards."""

from pathlib import Path

import numpy as np

from facemill.data.batching import batched
from facemill.data.shards import decode_image, encode_jpeg, read_rows, write_shard
from facemill.ingest.portraits import SCHEMA
from facemill.log import progress
from facemill.translate.through_masks import ThroughMasks

BATCH = 32


def translate_through_masks(*, bank: Path, portraits: Path, translated: Path) -> None:
    """Translates the portraits of a shard through their masks.

    Args:
        bank: what learn_through_masks made, in the folder of the model.
        portraits: shard of the collection that it translates.
        translated: shard to write: ids, tags and sources of the portraits, images of their size.
    """
    translator = ThroughMasks.load(bank.parent)
    rows = []
    shard = list(read_rows([portraits], SCHEMA.names))
    for batch in batched(progress(shard, "translating", len(shard)), BATCH):
        images = np.stack([decode_image(row["image"]["bytes"]) for row in batch])
        for row, image in zip(batch, translator.translate(images), strict=True):
            rows.append(row | {"image": {"bytes": encode_jpeg(image), "path": f"{row['id']}.jpg"}})
    write_shard(translated, rows, SCHEMA)
