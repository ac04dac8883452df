"""Evaluation of the mask generator: layouts, validity, memory, and how well GauGAN obeys random masks."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from scipy.spatial.distance import pdist

from facemill.data.batching import batched
from facemill.data.classes import ClassTable
from facemill.data.dataset import sample_rows
from facemill.data.shards import mask_classes
from facemill.errors import UserError
from facemill.files import write_json
from facemill.imaging.figures import colorize, image_grid, save_picture
from facemill.inference.mask_sampler import MaskSampler
from facemill.inference.painter import Painter
from facemill.inference.segmenter import Segmenter
from facemill.log import log
from facemill.mask_generator.masks import SmallMasks
from facemill.metrics.copying import copying_z
from facemill.metrics.distances import frechet_distance
from facemill.metrics.generation import overlaps
from facemill.metrics.layouts import layouts, nearest_masks, standardized
from facemill.metrics.segmentation import ratio
from facemill.stylegan.figures import equal_frechet, quotient
from facemill.stylegan.portraits import Kinds
from facemill.stylegan.validity import Limits, are_valid, mask_limits, measure_mask, part_ids

MOST = 2000
"""Most masks of each kind that are compared."""
MOST_PAINTED = 500
"""Most masks of each kind that GauGAN paints."""
MIN_HELD_OUT = 10
SHEET = 8
"""Rows, and masks in a row, of the picture: the seeds from 0 on."""
BATCH = 16

Figures = dict[str, Any]


def evaluate_mask_generator(
    *,
    model: Path,
    gaugan: Path,
    evaluator: Path,
    portraits: list[Path],
    pseudo_labels: list[Path],
    gate: Path,
    holdout: float,
    seed: int,
    metrics: Path,
    picture: Path,
) -> None:
    """Measures the masks of seeds 0 to n - 1 beside held-out ones; n is as many as the training's, at most `MOST`.

    Args:
        model: the generator of masks, a safetensors file.
        gaugan: GauGAN, which paints them.
        evaluator: a U-Net that did not draw the masks of the training.
        portraits: shards of the collection.
        pseudo_labels: shards of the portraits' masks.
        gate: shard that says which masks are accepted.
        holdout: share of the portraits that is held out.
        seed: of GauGAN's random styles.
        metrics: JSON of the metrics.
        picture: PNG of the masks of seeds 0 to 63 with what GauGAN paints on them.
    """
    classes = mask_classes(pseudo_labels)
    sampler, kinds = MaskSampler.load(model, classes), Kinds.of(portraits, gate, holdout)

    def rows_of(kind: Callable[[str], bool]) -> SmallMasks:
        """The masks of a kind."""
        return SmallMasks(portraits, pseudo_labels, classes, sampler.generator.height, kind)

    unseen = rows_of(kinds.held_out)
    if len(unseen) < MIN_HELD_OUT:
        raise UserError(
            f"holdout: found {holdout}, which holds out {len(unseen)} masks; accepted: a share that holds out "
            f"{MIN_HELD_OUT} or more"
        )
    training, held_out = (small_masks(rows) for rows in (rows_of(kinds.training), unseen))
    generated = sampler.masks(range(len(training)))
    painter = Painter.load(gaugan, classes)
    large = np.stack([unseen.large(index) for index in sample_rows(unseen, MOST_PAINTED)])
    random = sampler.masks(range(min(len(generated), MOST_PAINTED)), height=painter.generator.height)
    segmenter = Segmenter.load(evaluator, classes)
    obeyed, obeyed_real = (resegmentation_miou(painter, segmenter, masks, seed) for masks in (random, large))
    result = figures(MaskSets(generated, training, held_out, classes))
    write_json(metrics, result | {"resegmentation_miou": obeyed, "resegmentation_miou_real": obeyed_real})
    log.info(
        "evaluate_mask_generator: valid %.2f (real %.2f), re-segmentation %.3f (real %.3f)",
        *(result["valid"], result["valid_real"], obeyed, obeyed_real),
    )
    save_picture(sheet(painter, random[: SHEET**2], seed), picture)


def small_masks(rows: SmallMasks) -> np.ndarray:
    """At most `MOST` masks at the generator's size, uint8 (N, H, W)."""
    return torch.stack([rows[index] for index in sample_rows(rows, MOST)]).numpy()


class MaskSets(NamedTuple):
    """Masks that are compared, uint8 (N, H, W) each."""

    generated: np.ndarray
    training: np.ndarray
    held_out: np.ndarray
    classes: ClassTable


def figures(sets: MaskSets) -> Figures:
    """The figures of generated masks, all that needs no other network.

    Returns:
        - `frechet_distance`: of standardized layouts, of as many masks at a time as are held out, to the training's;
          `frechet_floor`: of the held-out ones; `frechet_over_floor`: their quotient.
        - `frechet_over_halves`: the same of as many as half the training, against its other half, over the distance
          of the halves.
        - `valid`, `valid_real`, `valid_over_real`: the share of masks with the parts of a portrait, of generated and
          held-out ones.
        - `components`: for each part the mean number of its components, of generated and held-out ones.
        - `diversity_vs_real`: the mean distance of layouts, over that of the training's.
        - `copying_z`: nearness to the training (1 - mIoU, mirrored too) against that of held-out masks.
    """
    count, kinds = len(sets.classes), sets[:3]
    of_kinds = [layouts(masks, count) for masks in kinds]
    generated, real, unseen = (standardized(of_kind, of_kinds[1]) for of_kind in of_kinds)
    distance, floor = (equal_frechet(of_kind, real, len(unseen)) for of_kind in (generated, unseen))
    first, second = real[::2], real[1::2]
    halves, to_half = frechet_distance(first, second), equal_frechet(generated, second, len(first))
    nearest = [nearest_masks(masks, sets.training, count).distances for masks in (sets.generated, sets.held_out)]
    return {
        "frechet_distance": distance,
        "frechet_floor": floor,
        "frechet_over_floor": quotient(distance, floor),
        "frechet_over_halves": quotient(to_half, halves),
        **validity(sets),
        "diversity_vs_real": quotient(float(pdist(generated).mean()), float(pdist(real).mean())),
        "copying_z": copying_z(*nearest),
        "nearest": {"generated": float(nearest[0].mean()), "real": float(nearest[1].mean())},
        "masks": len(sets.generated),
        "held_out": len(sets.held_out),
    }


def validity(sets: MaskSets) -> Figures:
    """`valid` and the numbers of components, as `figures` returns them."""
    generated, real, unseen = (np.stack([measure_mask(mask, sets.classes) for mask in masks]) for masks in sets[:3])
    limits: Limits = mask_limits(real)
    valid, valid_real = (float(are_valid(measures, limits, sets.classes).mean()) for measures in (generated, unseen))
    numbers = [np.split(measures, 3, axis=1)[1].mean(0) for measures in (generated, unseen)]
    return {
        "valid": valid,
        "valid_real": valid_real,
        "valid_over_real": quotient(valid, valid_real),
        "components": {
            part: {"generated": float(a), "real": float(b)}
            for part, a, b in zip(part_ids(sets.classes), *numbers, strict=True)
        },
    }


def painted(painter: Painter, masks: np.ndarray, seed: int) -> np.ndarray:
    """Portraits, uint8 RGB (N, H, W, 3), of masks, uint8 (N, H, W), each in a random style."""
    return painter.generate(torch.from_numpy(masks), painter.random_styles(len(masks), seed))


def resegmentation_miou(painter: Painter, segmenter: Segmenter, masks: np.ndarray, seed: int) -> float:
    """mIoU of masks, uint8 (N, H, W), with those that a U-Net sees in what GauGAN paints on them in random styles."""
    portraits = painted(painter, masks, seed)
    seen = np.concatenate([segmenter.masks(np.stack(batch)) for batch in batched(portraits, BATCH)])
    return float(np.nanmean(ratio(overlaps(seen, masks, len(segmenter.classes)).sum(0))))


def sheet(painter: Painter, masks: Sequence[np.ndarray] | np.ndarray, seed: int) -> Image.Image:
    """Masks, each beside what GauGAN paints on it in a random style."""
    portraits = painted(painter, np.asarray(masks), seed)
    cells = [
        cell for mask, image in zip(masks, portraits, strict=True) for cell in (colorize(mask, painter.classes), image)
    ]
    return image_grid([cells[i : i + 2 * SHEET] for i in range(0, len(cells), 2 * SHEET)], cell=96)
