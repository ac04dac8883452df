"""Latents: the VAE encoder's Gaussian for each portrait."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from facemill.data.batching import batched
from facemill.data.shards import decode_image, read_rows, write_shard
from facemill.latent.rows import sample_ids
from facemill.log import progress
from facemill.networks.device import autocast, device
from facemill.networks.store import load_model
from facemill.networks.vae import Vae, to_signed_range

LATENT_SCHEMA = pa.schema([("id", pa.string()), ("latent", pa.list_(pa.float32())), ("std", pa.list_(pa.float32()))])
"""Rows of a `latents` shard: mean and standard deviation of the encoder's Gaussian."""

BATCH = 32


def encode_latents(*, vae: Path, portraits: Path, limit: int, seed: int, latents: Path) -> None:
    """Encodes a sample of a shard's portraits as mean and standard deviation of q(z|x), in the shard's order.

    Args:
        vae: the VAE.
        portraits: the shard.
        limit: greatest number of portraits.
        seed: of the sample.
        latents: the shard of latents to write.
    """
    network = load_model(Vae, vae)
    ids = sampled_ids(portraits, limit, seed)
    sampled = set(ids)
    images = (decode_image(row["image"]["bytes"]) for row in read_rows([portraits]) if row["id"] in sampled)
    encoded = progress(encode(network, images), "encode_latents", len(ids))
    rows = [{"id": row_id, "latent": mean, "std": std} for row_id, (mean, std) in zip(ids, encoded, strict=True)]
    write_shard(latents, rows, LATENT_SCHEMA)


def sampled_ids(portraits: Path, limit: int, seed: int) -> list[str]:
    """The ids of at most `limit` of a shard's portraits, in its order."""
    ids = [row["id"] for row in read_rows([portraits], ["id"])]
    sampled = set(sample_ids(ids, limit, f"latents-{seed}"))
    return [row_id for row_id in ids if row_id in sampled]


@torch.inference_mode()
def encode(vae: Vae, images: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields mean and standard deviation of q(z|x) for each image in turn, float32 (Z,) each.

    `images` are uint8 RGB (S, S, 3).
    """
    for batch in batched(images, BATCH):
        pixels = torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2).to(device())
        with autocast():
            mean, log_variance = vae.encode(to_signed_range(pixels))
        yield from zip(mean.float().cpu().numpy(), (0.5 * log_variance).exp().float().cpu().numpy(), strict=True)
