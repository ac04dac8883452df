"""Measures GauGAN on held-out masks, in the styles of other portraits and in random ones, and draws masks by styles."""

import csv
from pathlib import Path
from typing import Annotated

import numpy as np
import torch

from facemill.config.synthesize import GauganConfig
from facemill.data.classes import CLASSES, SEVEN
from facemill.data.dataset import ShardDataset
from facemill.data.splits import held_out
from facemill.errors import UserError
from facemill.files import atomic_write, write_json
from facemill.imaging.figures import save_picture
from facemill.inference.segmenter import Segmenter
from facemill.metrics.generation import (
    FEATURES,
    Painted,
    color_errors,
    diversity,
    frechet_distance,
    judge_features,
    lpips_diversity,
    paint,
    pairings,
    random_styles,
    resegmentation,
    spread,
    style_errors,
    styles,
    styles_by_masks,
)
from facemill.networks.inception import INCEPTION, inception, inception_features
from facemill.networks.spade import Generator
from facemill.networks.store import device, load_model
from facemill.networks.unet import Unet
from facemill.networks.vae import Vae
from facemill.networks.vgg import Lpips
from facemill.workflow.command import Settings, run

MASKS, REAL = 1000, 4000
"""Held-out portraits that are painted, and portraits that they are compared with, at most: these are in memory."""
STYLES_PER_MASK = 4
SHOWN = 8


class Judges:
    """What painted portraits are measured with: a U-Net, the real portraits, and networks whose weights are given."""

    def __init__(self, unet: Unet, everyone: np.ndarray, settings: GauganConfig) -> None:
        self.unet = unet
        self.lpips = Lpips(settings.vgg_weights).to(device()) if settings.vgg_weights else None
        self.inception = inception(settings.inception_weights).to(device()) if settings.inception_weights else None
        self.real = judge_features(unet, everyone)
        self.real_frechet = inception_features(self.inception, everyone) if self.inception else self.real

    def numbers(self, painted: list[Painted], masks: np.ndarray, errors: list[dict]) -> tuple[dict, list[float]]:
        """All numbers of these portraits together, and each one's mIoU."""
        wanted, images = masks[[one.mask for one in painted]], np.stack([one.image for one in painted])
        seen, features = Segmenter(self.unet, SEVEN).masks(images), judge_features(self.unet, images)
        obeyed = resegmentation(seen, wanted)
        distance = frechet_distance(
            self.real_frechet, inception_features(self.inception, images) if self.inception else features
        )
        together = {
            "resegmentation_miou": obeyed["miou"],
            "resegmentation_iou": dict(zip(CLASSES, obeyed["per_class"], strict=True)),
            "fid" if self.inception else "frechet_distance": distance,
            "diversity_vs_real": diversity(features) / diversity(self.real),
            **style_errors(errors),
            "images": len(painted),
        }
        if self.lpips and len(painted) > len(masks):
            together["lpips_diversity"] = lpips_diversity(self.lpips, painted)
        return together, [resegmentation(s[None], w[None])["miou"] for s, w in zip(seen, wanted, strict=True)]


def main(
    *,
    model: Path,
    vae: Path,
    judge: Path,
    settings: Annotated[GauganConfig, Settings],
    portraits: list[Path],
    pseudo_labels: list[Path],
    holdout: float,
    seed: int,
    metrics: Path,
    table: Path,
    picture: Path,
) -> None:
    """Paints every held-out mask in other held-out portraits' styles and in random ones, and measures what comes out.

    A generator that was trained on random styles has those alone, one without styles paints each mask once.

    The judge is a U-Net that did not label the training set. Its features give the Frechet distance, between the
    painted portraits and all real ones, and their diversity against the real ones', which tells a collapsed generator.
    The table has a line for each painted portrait.
    """
    generator, encoder = load_model(Generator, model), load_model(Vae, vae)
    kept = ShardDataset(portraits, pseudo_labels, keep=lambda id: held_out(id, holdout))
    if len(kept) < 2:
        raise UserError(f"holdout: found {holdout}, which keeps {len(kept)} portraits; accepted: a share that keeps 2")
    chosen = spread(len(kept), MASKS)
    ids = [kept.ids[i] for i in chosen]
    pixels, masks = (torch.stack(tensors) for tensors in zip(*(kept[i] for i in chosen), strict=True))
    images = pixels.permute(0, 2, 3, 1).numpy()
    rows = ShardDataset(portraits)
    everyone = np.stack([rows[i].permute(1, 2, 0).numpy() for i in spread(len(rows), REAL)])
    judges = Judges(load_model(Unet, judge), everyone, settings)

    z = styles(encoder, pixels).cpu()
    numbers, lines = {}, []
    for style, (pairs, codes) in kinds_of_styles(generator, z, seed).items():
        made = paint(generator, masks[[m for m, _ in pairs]], codes)
        painted = [Painted(x, m, s if style == "reference" else None) for x, (m, s) in zip(made, pairs, strict=True)]
        errors = color_errors(painted, images, masks.numpy())
        numbers[style], mious = judges.numbers(painted, masks.numpy(), errors)
        for one, miou, error in zip(painted, mious, errors, strict=True):
            of = {"mask": ids[one.mask], "style": style if one.style is None else ids[one.style]}
            lines.append(of | {"resegmentation_miou": miou} | error)
    first, *others = numbers
    found = numbers[first] | {"styles": first, "frechet_features": INCEPTION if judges.inception else FEATURES}
    write_json(metrics, found | {f"from_{name}_styles": numbers[name] for name in others})
    with atomic_write(table) as tmp, tmp.open("w", newline="") as file:
        writer = csv.DictWriter(file, lines[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    shown = np.random.default_rng(seed).permutation(len(ids))[: 2 * SHOWN]
    z = z if generator.z == "encoder" else random_styles(generator, len(z), seed)
    save_picture(styles_by_masks(generator, pixels, masks, z, shown[:SHOWN], shown[-SHOWN:]), picture)


def kinds_of_styles(
    generator: Generator, z: torch.Tensor, seed: int
) -> dict[str, tuple[list[tuple[int, int]], torch.Tensor]]:
    """The styles that a generator knows: pairs (mask, style) to paint, and their codes; `z` are the portraits' own."""
    if generator.z == "none":
        return {"no": ([(i, i) for i in range(len(z))], random_styles(generator, len(z), seed))}
    pairs = list(pairings(len(z), STYLES_PER_MASK, seed))
    random = {"random": (pairs, random_styles(generator, len(pairs), seed))}
    return ({"reference": (pairs, z[[s for _, s in pairs]])} if generator.z == "encoder" else {}) | random


if __name__ == "__main__":
    run(main, gpu=True)
