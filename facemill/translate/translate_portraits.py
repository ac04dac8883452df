"""Portraits of one collection in the manner of the other, as shards."""

from pathlib import Path

import numpy as np
from PIL import Image

from facemill.data.batching import batched
from facemill.data.shards import decode_image, encode_jpeg, read_rows, write_shard
from facemill.inference.translator import Translator
from facemill.ingest.portraits import SCHEMA
from facemill.log import progress

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
        images = [at_height(decode_image(row["image"]["bytes"]), translator.size) for row in batch]
        for row, image in zip(batch, translator.translate(np.stack(images)), strict=True):
            rows.append(row | {"image": {"bytes": encode_jpeg(image), "path": f"{row['id']}.jpg"}})
    write_shard(translated, rows, SCHEMA)


def at_height(image: np.ndarray, height: int) -> np.ndarray:
    """A portrait, uint8 RGB (H, W, 3), at a height that divides its own; pixels are averaged, as in training."""
    if image.shape[0] == height:
        return image
    return np.asarray(Image.fromarray(image).reduce(image.shape[0] // height))
