"""Evaluation of the VAE on held-out portraits: reconstructions, KL divergence, samples."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from facemill.data.batching import batched
from facemill.data.dataset import ShardDataset
from facemill.data.splits import held_out
from facemill.errors import UserError
from facemill.files import write_json
from facemill.imaging.figures import image_grid, save_picture
from facemill.networks.device import autocast, device
from facemill.networks.store import load_model
from facemill.networks.vae import Vae, kl_divergence, resized, to_pixels, to_signed_range

COLUMNS = 10
SAMPLE_ROWS = 3


def evaluate_vae(*, model: Path, portraits: list[Path], holdout: float, metrics: Path, picture: Path) -> None:
    """Reconstructs the held-out portraits from the mean of q(z|x), and samples portraits from N(0, 1).

    Metrics: `reconstruction_l1`, the mean absolute difference of pixels in [0, 1], and its standard deviation over
    portraits; `kl`, in nats per portrait; `images`, the number of portraits.

    Args:
        model: the VAE, a safetensors file.
        portraits: shards of the collection.
        holdout: share of the portraits that is held out.
        metrics: JSON of the metrics.
        picture: PNG of reconstructions and samples.

    Raises:
        UserError: No portrait is held out.
    """
    vae = load_model(Vae, model)
    rows = ShardDataset(portraits, keep=lambda row_id: held_out(row_id, holdout))
    if not len(rows):
        raise UserError(f"holdout: found {holdout}, which holds out no portrait; accepted: a larger share")
    shown: list[tuple[np.ndarray, np.ndarray]] = []
    differences, divergences = [], []
    for original, reconstruction, divergence in reconstruct(vae, rows):
        differences.append(np.abs(original.astype(float) - reconstruction).mean() / 255)
        divergences.append(divergence)
        if len(shown) < 2 * COLUMNS:  # the others leave the memory
            shown.append((original, reconstruction))
    write_json(
        metrics,
        {
            "reconstruction_l1": float(np.mean(differences)),
            "reconstruction_l1_std": float(np.std(differences)),
            "kl": float(np.mean(divergences)),
            "images": len(differences),
        },
    )
    samples = sample(vae, SAMPLE_ROWS * COLUMNS)
    grid, captions = [], []
    for pairs in batched(shown, COLUMNS):
        grid += [list(images) for images in zip(*pairs, strict=True)]
        captions += ["portrait", "reconstruction"]
    grid += batched(samples, COLUMNS)
    save_picture(image_grid(grid, captions=[*captions, *["sample of N(0, 1)"] * SAMPLE_ROWS]), picture)


@torch.inference_mode()
def reconstruct(vae: Vae, images: ShardDataset) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
    """Yields portraits at the VAE's size and their reconstructions, uint8 RGB (S, S, 3), and KL divergences in nats."""
    for pixels in images:
        assert isinstance(pixels, torch.Tensor)  # the shards have no masks
        real = resized(to_signed_range(pixels[None].to(device())), vae.size)
        with autocast():
            mean, log_variance = vae.encode(real)
            decoded = vae.decode(mean)
        yield to_pixels(real)[0], to_pixels(decoded)[0], float(kl_divergence(mean, log_variance))


@torch.inference_mode()
def sample(vae: Vae, count: int) -> list[np.ndarray]:
    """Images, uint8 RGB (S, S, 3), decoded from N(0, 1); the same in every call."""
    z = torch.randn((count, vae.z_dim), generator=torch.Generator().manual_seed(0))
    with autocast():
        return list(to_pixels(vae.decode(z.to(device()))))
