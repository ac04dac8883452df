"""Measures GauGAN on held-out masks in the styles of other held-out portraits, and draws masks by styles."""

from pathlib import Path

import numpy as np
import torch

from facemill.classes import CLASSES
from facemill.command import run
from facemill.errors import BadInput
from facemill.figures import colorize, image_grid, save_picture
from facemill.files import write_json
from facemill.loading import ShardRows
from facemill.networks import load_model
from facemill.segment.unet import Unet
from facemill.splits import held_out
from facemill.synthesize.gaugan import Generator
from facemill.synthesize.measure import (
    FEATURES,
    Painted,
    frechet_distance,
    judge_features,
    paint,
    pairings,
    resegmentation,
    style_errors,
    styles,
)
from facemill.synthesize.vae import Vae

STYLES_PER_MASK = 4
SHOWN = 8


def main(
    *,
    model: Path,
    vae: Path,
    judge: Path,
    portraits: list[Path],
    pseudo_labels: list[Path],
    holdout: float,
    seed: int,
    metrics: Path,
    picture: Path,
) -> None:
    """Paints every held-out mask in the styles of other held-out portraits and measures what comes out.

    The judge is a U-Net that did not label the training set. Its features give the Frechet distance, between the
    painted portraits and all real ones.
    """
    generator, encoder, unet = load_model(Generator, model), load_model(Vae, vae), load_model(Unet, judge)
    rows = list(ShardRows(portraits, pseudo_labels, keep=lambda id: held_out(id, holdout)))
    if len(rows) < 2:
        raise BadInput(f"holdout: found {holdout}, which keeps {len(rows)} portraits; accepted: a share that keeps 2")
    pixels, masks = torch.stack([p for p, _ in rows]), torch.stack([m for _, m in rows])
    images = pixels.permute(0, 2, 3, 1).numpy()
    z = styles(encoder, pixels).cpu()
    pairs = list(pairings(len(rows), STYLES_PER_MASK, seed))
    made = paint(generator, masks[[m for m, _ in pairs]], z[[s for _, s in pairs]])
    painted = [Painted(image, *pair) for image, pair in zip(made, pairs, strict=True)]

    seen, features = judge_features(unet, made)
    everyone = np.stack([image.permute(1, 2, 0).numpy() for image in ShardRows(portraits)])
    obeyed = resegmentation(seen, masks.numpy()[[p.mask for p in painted]])
    errors = style_errors(painted, images, masks.numpy())
    write_json(
        metrics,
        {
            "resegmentation_miou": obeyed["miou"],
            "resegmentation_iou": dict(zip(CLASSES, obeyed["per_class"], strict=True)),
            "frechet_distance": frechet_distance(judge_features(unet, everyone)[1], features),
            "frechet_features": FEATURES,
            **{f"style_{region}_color_error": mean for region, (mean, _, _) in errors.items()},
            **{f"style_{region}_color_error_spread": spread for region, (_, spread, _) in errors.items()},
            "images": len(painted),
        },
    )
    chosen = np.random.default_rng(seed).permutation(len(rows))[: 2 * SHOWN]
    shown_masks, shown_styles = chosen[:SHOWN], chosen[-SHOWN:]
    grid = [[None, None, *(images[s] for s in shown_styles)]]
    for m in shown_masks:
        row = paint(generator, masks[[m] * len(shown_styles)], z[shown_styles])
        grid.append([images[m], colorize(masks[m].numpy()), *row])
    columns = ["its portrait", "mask", *(f"style {i}" for i in range(1, len(shown_styles) + 1))]
    save_picture(image_grid(grid, columns), picture)


if __name__ == "__main__":
    run(main)
