"""Portraits of one collection in the manner of the other, as shards."""

from pathlib import Path

import numpy as np
import torch

from facemill.data.batching import batched
from facemill.data.shards import decode_image, encode_jpeg, read_rows, write_shard
from facemill.inference.translator import Translator
from facemill.ingest.portraits import SCHEMA
from facemill.log import progress
from facemill.translate.shrink import shrunk

BATCH = 64


def translate_portraits(*, model: Path, portraits: Path, translated: Path) -> None:
    """Translates the portraits of a shard.

    Args:
        model: the generator of one direction.
        portraits: shard of the collection that it translates.
        translated: shard to write: ids, tags and sources of the portraits, images at the model's size.
    """
    translator = Translator.load(model)
    rows = []
    shard = list(read_rows([portraits], SCHEMA.names))
    for batch in batched(progress(shard, "translating", len(shard)), BATCH):
        images = torch.from_numpy(np.stack([decode_image(row["image"]["bytes"]) for row in batch]))
        small = shrunk(images.permute(0, 3, 1, 2), translator.size, portraits).permute(0, 2, 3, 1)
        for row, image in zip(batch, translator.translate(small.numpy()), strict=True):
            rows.append(row | {"image": {"bytes": encode_jpeg(image), "path": f"{row['id']}.jpg"}})
    write_shard(translated, rows, SCHEMA)
