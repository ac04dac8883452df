"""Evaluation of GauGAN on held-out masks, in the styles of other portraits and in random ones."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from facemill.config.synthesize import GauganConfig
from facemill.data.dataset import ShardDataset
from facemill.data.shards import mask_classes
from facemill.data.splits import held_out
from facemill.errors import UserError
from facemill.files import atomic_write, write_json
from facemill.imaging.figures import save_picture
from facemill.inference.painter import Painter
from facemill.inference.segmenter import Segmenter
from facemill.metrics.generation import (
    FEATURES,
    ColorErrors,
    Sample,
    color_errors,
    diversity,
    evaluator_features,
    evenly_spaced,
    frechet_distance,
    lpips_diversity,
    mask_style_pairs,
    resegmentation_iou,
    style_errors,
)
from facemill.networks.device import device
from facemill.networks.inception import INCEPTION, inception, inception_features
from facemill.networks.vgg import Lpips

MAX_MASKS, MAX_REAL = 1000, 4000
"""Largest numbers of held-out masks to generate from and of real portraits to compare with: all are in memory."""
STYLES_PER_MASK = 4
GRID_SIDE = 8
"""Masks, and styles, of the picture."""


def evaluate_gaugan(
    *,
    model: Path,
    vae: Path,
    evaluator: Path,
    settings: GauganConfig,
    portraits: list[Path],
    pseudo_labels: list[Path],
    holdout: float,
    seed: int,
    metrics: Path,
    table: Path,
    picture: Path,
) -> None:
    """Generates portraits from every held-out mask, in other held-out portraits' styles and in random ones.

    A generator trained on random styles is evaluated with those alone; one without styles generates one portrait from
    each mask. The evaluator's features give the Frechet distance between generated and real portraits, and their
    diversity against that of the real ones, which shows a collapsed generator.

    Args:
        model: the generator, a safetensors file.
        vae: the VAE whose encoder reads styles, a safetensors file.
        evaluator: a U-Net that did not label the training set, a safetensors file.
        settings: the section `gaugan`.
        portraits: shards of the collection.
        pseudo_labels: shards of the portraits' masks.
        holdout: share of the portraits that is held out.
        seed: seed of random styles and of the choice of styles.
        metrics: JSON of the metrics.
        table: CSV with a row for each generated portrait.
        picture: PNG of masks by styles.
    """
    classes = mask_classes(pseudo_labels)
    painter = Painter.load(model, classes, vae)
    ids, pixels, masks = load_held_out(portraits, pseudo_labels, holdout)
    scorer = Evaluator(Segmenter.load(evaluator, classes), load_real(portraits), settings)
    z = painter.encode_styles(pixels)
    images, labels = pixels.permute(0, 2, 3, 1).numpy(), masks.numpy()
    results: dict[str, dict[str, Any]] = {}
    rows: list[dict[str, Any]] = []
    for source, (pairs, codes) in style_sources(painter, z, seed).items():
        generated = painter.generate(masks[[mask for mask, _ in pairs]], codes)
        samples = [
            Sample(image, mask, style if source == "reference" else None)
            for image, (mask, style) in zip(generated, pairs, strict=True)
        ]
        errors = color_errors(samples, images, labels, classes)
        results[source], mious = scorer.score(samples, labels, errors)
        for sample, miou, error in zip(samples, mious, errors, strict=True):
            style_id = source if sample.style is None else ids[sample.style]
            rows.append({"mask": ids[sample.mask], "style": style_id, "resegmentation_miou": miou} | error)
    first, *others = results
    summary = results[first] | {"styles": first, "frechet_features": INCEPTION if scorer.inception else FEATURES}
    write_json(metrics, summary | {f"from_{source}_styles": results[source] for source in others})
    write_csv(table, rows)
    shown = np.random.default_rng(seed).permutation(len(ids))[: 2 * GRID_SIDE].tolist()
    z = z if painter.generator.z == "encoder" else painter.random_styles(len(z), seed)
    save_picture(painter.style_grid(pixels, masks, z, shown[:GRID_SIDE], shown[-GRID_SIDE:]), picture)


class Evaluator:
    """Networks that score generated portraits: a U-Net, and LPIPS and FID's Inception where weights are given.

    Attributes:
        segmenter: the U-Net, which gives masks, and features unless there is Inception.
        lpips: the distance LPIPS, or None.
        inception: FID's Inception, or None.
        real: the real portraits' U-Net features.
        real_frechet: the real portraits' features for the Frechet distance.
    """

    def __init__(self, segmenter: Segmenter, portraits: np.ndarray, settings: GauganConfig) -> None:
        """Loads the networks and computes the features of real portraits, uint8 RGB (N, H, W, 3)."""
        self.segmenter = segmenter
        self.lpips = Lpips(settings.vgg_weights).to(device()) if settings.vgg_weights else None
        self.inception = inception(settings.inception_weights).to(device()) if settings.inception_weights else None
        self.real = evaluator_features(segmenter.unet, portraits)
        self.real_frechet = inception_features(self.inception, portraits) if self.inception else self.real

    def score(
        self, samples: Sequence[Sample], masks: np.ndarray, errors: Sequence[ColorErrors]
    ) -> tuple[dict[str, Any], list[float]]:
        """The metrics of all samples together, and the re-segmentation mIoU of each.

        Args:
            samples: generated portraits.
            masks: the masks that they index, uint8 (N, H, W).
            errors: their `color_errors`.
        """
        images, targets = np.stack([sample.image for sample in samples]), masks[[sample.mask for sample in samples]]
        predictions, features = self.segmenter.masks(images), evaluator_features(self.segmenter.unet, images)
        names = self.segmenter.classes.names
        per_class = resegmentation_iou(predictions, targets, len(names))
        frechet_features = inception_features(self.inception, images) if self.inception else features
        metrics: dict[str, Any] = {
            "resegmentation_miou": float(np.nanmean(per_class)),
            "resegmentation_iou": {
                name: None if np.isnan(value) else float(value) for name, value in zip(names, per_class, strict=True)
            },
            "fid" if self.inception else "frechet_distance": frechet_distance(self.real_frechet, frechet_features),
            "diversity_vs_real": diversity(features) / diversity(self.real),
            **style_errors(errors),
            "images": len(samples),
        }
        if self.lpips and len(samples) > len(masks):
            metrics["lpips_diversity"] = lpips_diversity(self.lpips, samples)
        ious = [
            resegmentation_iou(prediction[None], target[None], len(names))
            for prediction, target in zip(predictions, targets, strict=True)
        ]
        return metrics, [float(np.nanmean(iou)) for iou in ious]


def load_held_out(
    portraits: Sequence[Path], pseudo_labels: Sequence[Path], holdout: float
) -> tuple[list[str], Tensor, Tensor]:
    """At most `MAX_MASKS` of the held-out portraits: ids, images uint8 (N, 3, H, W), and masks uint8 (N, H, W).

    Raises:
        UserError: Fewer than two portraits are held out.
    """
    rows = ShardDataset(portraits, pseudo_labels, keep=lambda row_id: held_out(row_id, holdout))
    if len(rows) < 2:
        raise UserError(f"holdout: found {holdout}, which holds out {len(rows)} portraits; accepted: a larger share")
    indices = evenly_spaced(len(rows), MAX_MASKS)
    pixels, masks = (torch.stack(tensors) for tensors in zip(*(rows[i] for i in indices), strict=True))
    return [rows.ids[i] for i in indices], pixels, masks


def load_real(portraits: Sequence[Path]) -> np.ndarray:
    """At most `MAX_REAL` of all portraits, uint8 RGB (N, H, W, 3)."""
    rows = ShardDataset(portraits)
    images = (rows[i] for i in evenly_spaced(len(rows), MAX_REAL))
    return np.stack([image.permute(1, 2, 0).numpy() for image in images if isinstance(image, Tensor)])


def style_sources(painter: Painter, z: Tensor, seed: int) -> dict[str, tuple[list[tuple[int, int]], Tensor]]:
    """The style sources that the generator was trained on, each with its pairs (mask, style) and their codes.

    Args:
        painter: the generator.
        z: the portraits' style codes, (N, z_dim).
        seed: seed of random codes and of the pairs.
    """
    if painter.generator.z == "none":
        return {"no": ([(i, i) for i in range(len(z))], painter.random_styles(len(z), seed))}
    pairs = list(mask_style_pairs(len(z), STYLES_PER_MASK, seed))
    sources = {"reference": (pairs, z[[style for _, style in pairs]])} if painter.generator.z == "encoder" else {}
    return sources | {"random": (pairs, painter.random_styles(len(pairs), seed))}


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Writes rows of the same keys as a CSV with a header."""
    with atomic_write(path) as tmp, tmp.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
