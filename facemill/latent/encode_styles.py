"""Style codes by region: those with which GauGAN paints each portrait."""

from pathlib import Path

import numpy as np
import torch

from facemill.data.batching import batched
from facemill.data.shards import decode_image, decode_mask, mask_classes, write_shard
from facemill.inference.painter import BATCH, Painter
from facemill.latent.encode_latents import LATENT_SCHEMA, sampled_ids
from facemill.latent.rows import joined_rows
from facemill.log import progress

STYLE_SCHEMA = LATENT_SCHEMA.remove(2)
"""Rows of a `styles` shard: the style code."""


def encode_styles(*, gaugan: Path, portraits: Path, pseudo_labels: Path, limit: int, seed: int, styles: Path) -> None:
    """Reads the styles of the portraits that `encode_latents` samples, in the shard's order.

    Args:
        gaugan: the generator, which knows the mean code of classes that a portrait lacks.
        portraits: the shard.
        pseudo_labels: the shard of its masks.
        limit: greatest number of portraits.
        seed: of the sample.
        styles: the shard of styles to write.
    """
    classes, chosen = mask_classes([pseudo_labels]), set(sampled_ids(portraits, limit, seed))
    painter, rows = Painter.load(gaugan, classes), []
    joined = joined_rows(([portraits], ["image"]), ([pseudo_labels], ["mask"]))
    sampled = (row for row in joined if row["id"] in chosen)
    for batch in batched(progress(sampled, "encode_styles", len(chosen)), BATCH):
        images = np.stack([decode_image(row["image"]["bytes"]) for row in batch])
        masks = np.stack([decode_mask(row["mask"]["bytes"], classes) for row in batch])
        codes = painter.encode_styles(torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(masks)).numpy()
        rows += [{"id": row["id"], "latent": code} for row, code in zip(batch, codes, strict=True)]
    write_shard(styles, rows, STYLE_SCHEMA)
