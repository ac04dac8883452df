"""Measures the VAE on held-out portraits and draws its reconstructions and samples."""

from pathlib import Path

import numpy as np
import torch

from facemill.data.dataset import ShardDataset
from facemill.data.splits import held_out
from facemill.files import write_json
from facemill.imaging.figures import image_grid, save_picture
from facemill.networks.store import autocast, load_model
from facemill.networks.vae import Vae, kl_divergence, resized, to_pixels, to_signed_range
from facemill.workflow.command import run

COLUMNS = 10
SAMPLE_ROWS = 3


@torch.inference_mode()
def main(*, model: Path, portraits: list[Path], holdout: float, metrics: Path, picture: Path) -> None:
    """Reconstructs the held-out portraits from the mean of q(z|x), and samples portraits from N(0, 1).

    Metrics: `reconstruction_l1`, the mean absolute difference of pixels in [0, 1], with its spread over portraits;
    `kl`, in nats per portrait; how many portraits.
    """
    vae = load_model(Vae, model)
    device = next(vae.parameters()).device
    rows = ShardDataset(portraits, keep=lambda id: held_out(id, holdout))
    originals, reconstructions, divergences = [], [], []
    for pixels in rows:
        real = resized(to_signed_range(pixels[None].to(device)), vae.size)
        with autocast():
            mean, log_variance = vae.encode(real)
            reconstructions.append(to_pixels(vae.decode(mean))[0])
        originals.append(to_pixels(real)[0])
        divergences.append(float(kl_divergence(mean, log_variance)))
    z = torch.randn((SAMPLE_ROWS * COLUMNS, vae.z_dim), generator=torch.Generator().manual_seed(0))
    with autocast():
        samples = list(to_pixels(vae.decode(z.to(device))))

    differences = [np.abs(a.astype(float) - b).mean() / 255 for a, b in zip(originals, reconstructions, strict=True)]
    write_json(
        metrics,
        {
            "reconstruction_l1": float(np.mean(differences)),
            "reconstruction_l1_std": float(np.std(differences)),
            "kl": float(np.mean(divergences)),
            "images": len(originals),
        },
    )
    drawn = [originals[:COLUMNS], reconstructions[:COLUMNS]]
    drawn += [originals[COLUMNS : 2 * COLUMNS], reconstructions[COLUMNS : 2 * COLUMNS]]
    pairs = [row for row in drawn if row]
    sampled = [samples[i : i + COLUMNS] for i in range(0, len(samples), COLUMNS)]
    captions = ["portrait", "reconstruction"] * (len(pairs) // 2) + ["sample of N(0, 1)"] * SAMPLE_ROWS
    save_picture(image_grid([*pairs, *sampled], captions=captions), picture)


if __name__ == "__main__":
    run(main, gpu=True)
