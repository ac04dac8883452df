"""Latents: where the VAE's encoder puts each portrait."""

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
import pyarrow as pa
import torch

from facemill.synthesize.measure import styles
from facemill.synthesize.vae import Vae

LATENT_SCHEMA = pa.schema([("id", pa.string()), ("latent", pa.list_(pa.float32()))])
"""Rows of a `latents` shard: the mean of the encoder's Gaussian."""

BATCH = 32


def encode(vae: Vae, images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yields the latent of each image in turn, float32 (Z,): the mean that `vae.encode` gives, without noise.

    `images` are uint8 RGB (S, S, 3).
    """
    stream = iter(images)
    while batch := list(islice(stream, BATCH)):
        yield from styles(vae, torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2)).cpu().numpy()
