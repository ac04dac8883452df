"""Latents: where the VAE's encoder puts each portrait."""

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
import pyarrow as pa
import torch

from facemill.networks.store import autocast, device
from facemill.networks.vae import Vae, to_signed_range

LATENT_SCHEMA = pa.schema([("id", pa.string()), ("latent", pa.list_(pa.float32())), ("std", pa.list_(pa.float32()))])
"""Rows of a `latents` shard: mean and standard deviation of the encoder's Gaussian."""

BATCH = 32


@torch.inference_mode()
def encode(vae: Vae, images: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields mean and standard deviation of q(z|x) for each image in turn, float32 (Z,) each.

    `images` are uint8 RGB (S, S, 3).
    """
    stream = iter(images)
    while batch := list(islice(stream, BATCH)):
        pixels = torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2).to(device())
        with autocast():
            mean, log_variance = vae.encode(to_signed_range(pixels))
        yield from zip(mean.float().cpu().numpy(), (0.5 * log_variance).exp().float().cpu().numpy(), strict=True)
