"""Evaluation of GauGAN on held-out masks, in the styles of other portraits, in their own and in random ones."""

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.spatial.distance import pdist
from torch import Tensor

from facemill.config.synthesize import GauganConfig
from facemill.data.batching import batched
from facemill.data.dataset import ShardDataset, sample_rows
from facemill.data.shards import mask_classes
from facemill.data.splits import held_out, trained_on
from facemill.errors import UserError
from facemill.files import atomic_write, write_json
from facemill.imaging.colors import REGIONS
from facemill.imaging.figures import save_picture
from facemill.inference.painter import Painter
from facemill.inference.segmenter import Segmenter
from facemill.metrics.distances import feature_distances
from facemill.metrics.generation import Evaluator, Measures
from facemill.metrics.noise import noise_figures
from facemill.metrics.style import color_errors, style_color_error, style_diversity, styles_of_masks
from facemill.synthesize.gaugan_pictures import best_and_worst, style_grid

MAX_MASKS, MAX_REAL = 2500, 10_000
"""Largest numbers of held-out masks to generate from and of real portraits to compare with."""
STYLES_PER_MASK = 4
REAL = ("resegmentation_miou", "frechet_distance", "kid", "checkerboard")
"""Metrics that the real portraits of the masks have too: what can be expected at best."""
BATCH = 8
"""Portraits that are painted and measured at once: on a CPU the paper's channels at 512 px take 220 MB each."""


def evaluate_gaugan(
    *,
    model: Path,
    style_encoder: Path,
    evaluator: Path,
    settings: GauganConfig,
    portraits: list[Path],
    pseudo_labels: list[Path],
    holdout: float,
    seed: int,
    metrics: Path,
    table: Path,
    picture: Path,
    extremes: Path,
) -> None:
    """Generates portraits from every held-out mask, in other held-out portraits' styles, its own and random ones.

    A generator trained on random styles is evaluated with those alone; one without styles generates one portrait from
    each mask. The metrics of the held-out real portraits themselves stand beside, as what can be expected at best.
    Distances are to portraits of the training, so that held-out ones are not compared with themselves.

    Args:
        model: the generator, a safetensors file.
        style_encoder: the network that reads styles, a safetensors file.
        evaluator: a U-Net that did not label the training set, a safetensors file.
        settings: the section `gaugan`.
        portraits: shards of the collection.
        pseudo_labels: shards of the portraits' masks.
        holdout: share of the portraits that is held out.
        seed: seed of random styles and of the choice of styles.
        metrics: JSON of the metrics.
        table: CSV with a row for each generated portrait.
        picture: PNG of masks by styles.
        extremes: PNG of the portraits whose masks are kept best and worst.
    """
    classes = mask_classes(pseudo_labels)
    painter = Painter.load(model, classes, style_encoder)
    networks = Evaluator(Segmenter.load(evaluator, classes), settings.vgg_weights, settings.inception_weights)
    rows = held_out_rows(portraits, pseudo_labels, holdout)
    real, z = measure_real(networks, painter, rows)
    sources = style_sources(painter, z, seed)
    painted = {name: measure_painted(networks, painter, rows, styles.codes) for name, styles in sources.items()}
    training = training_features(networks, portraits, holdout)
    results = {name: summary(measures, real, training, networks) for name, measures in painted.items()}
    first, *others = results
    shared: dict[str, Any] = {"styles": first, "masks": len(rows), "frechet_features": networks.frechet_features}
    if (of := sources[first].of) is not None:
        shared["style_color_error"] = style_color_error(painted[first].colors, painted["own"].colors, real.colors, of)
    shared |= {f"{name}_real": value for name, value in summary(real, real, training, networks).items() if name in REAL}
    write_json(metrics, results[first] | shared | {f"from_{name}_styles": results[name] for name in others})
    write_csv(table, [row for name in sources for row in table_rows(name, sources[name].of, painted[name], real, rows)])
    z = z if painter.styles_are_read else painter.random_styles(len(rows), seed)
    save_picture(style_grid(painter, rows, z, seed), picture)
    mious = painted[first].mious()
    save_picture(best_and_worst(painter, networks.segmenter, rows, *sources[first], mious), extremes)


def chosen_rows(
    portraits: Sequence[Path], pseudo_labels: Sequence[Path], keep: Callable[[str], bool], most: int
) -> ShardDataset:
    """At most `most` of the portraits whose ids are selected (`sample_rows`), with the masks of `pseudo_labels`."""
    rows = ShardDataset(portraits, keep=keep)
    chosen = {rows.ids[i] for i in sample_rows(rows, most)}
    return ShardDataset(portraits, pseudo_labels, keep=chosen.__contains__)


def held_out_rows(portraits: Sequence[Path], pseudo_labels: Sequence[Path], holdout: float) -> ShardDataset:
    """At most `MAX_MASKS` of the held-out portraits, with their masks.

    Raises:
        UserError: Fewer than two portraits are held out.
    """
    rows = chosen_rows(portraits, pseudo_labels, lambda row_id: held_out(row_id, holdout), MAX_MASKS)
    if len(rows) < 2:
        raise UserError(f"holdout: found {holdout}, which holds out {len(rows)} portraits; accepted: a larger share")
    return rows


def batches(rows: ShardDataset, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields portraits, uint8 (B, 3, H, W), with their masks, uint8 (B, H, W)."""
    for batch in batched(rows, size):
        pixels, masks = zip(*batch, strict=True)
        yield torch.stack(pixels), torch.stack(masks)


def to_arrays(pixels: Tensor) -> np.ndarray:
    """Portraits, uint8 (B, 3, H, W), as (B, H, W, 3)."""
    return pixels.permute(0, 2, 3, 1).numpy()


class Styles(NamedTuple):
    """The styles in which each of N masks is painted, K for each."""

    codes: Tensor
    """Style codes, (N, K, z_dim)."""
    of: np.ndarray | None
    """Which of the masks' portraits gave each, indices (N, K); None where none did."""


def style_sources(painter: Painter, z: Tensor, seed: int) -> dict[str, Styles]:
    """The styles from each source that the generator was trained on, the source that is evaluated first being first.

    Args:
        painter: the generator.
        z: style codes of the masks' portraits, (N, z_dim).
        seed: seed of random codes and of the choice of styles.
    """
    if painter.generator.z == "none":
        return {"no": Styles(painter.random_styles(len(z), seed)[:, None], None)}
    sources = {}
    if painter.styles_are_read:
        of = styles_of_masks(len(z), STYLES_PER_MASK, seed)
        sources = {"reference": Styles(z[of], of), "own": Styles(z[:, None], np.arange(len(z))[:, None])}
    random = painter.random_styles(len(z) * STYLES_PER_MASK, seed).unflatten(0, (len(z), STYLES_PER_MASK))
    return sources | {"random": Styles(random, None)}


def measure_real(networks: Evaluator, painter: Painter, rows: ShardDataset) -> tuple[Measures, Tensor]:
    """The measures of real portraits, and their style codes, (N, z_dim); of no numbers where none are read."""
    parts, codes = [], []
    for pixels, masks in batches(rows, BATCH):
        parts.append(networks.measure(to_arrays(pixels), masks.numpy()))
        codes.append(painter.encode_styles(pixels, masks) if painter.styles_are_read else torch.empty(len(masks), 0))
    return Measures.join(parts), torch.cat(codes)


def measure_painted(networks: Evaluator, painter: Painter, rows: ShardDataset, codes: Tensor) -> Measures:
    """The measures of portraits painted from the masks of N rows in K styles each, codes (N, K, z_dim)."""
    parts = []
    masks_at_once = max(BATCH // codes.shape[1], 1)
    for (_, masks), z in zip(batches(rows, masks_at_once), codes.split(masks_at_once), strict=True):
        painted = painter.generate(masks, z.flatten(0, 1))
        parts.append(networks.measure(painted, masks.numpy()))
    return Measures.join(parts)


def training_features(networks: Evaluator, portraits: Sequence[Path], holdout: float) -> np.ndarray:
    """The features for `feature_distances` of at most `MAX_REAL` portraits that are not held out, (M, D)."""
    rows = chosen_rows(portraits, [], trained_on(portraits, holdout), MAX_REAL)
    images = (image for image in rows if isinstance(image, Tensor))  # the shards have no masks
    stacked = (to_arrays(torch.stack(batch)) for batch in batched(images, BATCH))
    return np.concatenate([networks.features_for_frechet(batch) for batch in stacked])


def summary(measures: Measures, real: Measures, training: np.ndarray, networks: Evaluator) -> dict[str, Any]:
    """The metrics of portraits from one source of styles.

    Args:
        measures: of these portraits.
        real: of the masks' real portraits.
        training: features of the real portraits that the distances are to.
        networks: the networks that measured.
    """
    ious, names = measures.ious(), networks.segmenter.classes.names
    metrics: dict[str, Any] = {
        "resegmentation_miou": float(np.nanmean(ious)),
        "resegmentation_iou": {
            name: None if np.isnan(iou) else float(iou) for name, iou in zip(names, ious, strict=True)
        },
        **feature_distances(measures.frechet_features(), training, networks.inception is not None),
        "noise": noise_figures(measures.noise, real.noise),
        "checkerboard": float(measures.checkerboard.mean()),
    }
    count, styles = measures.features.shape[:2]
    if styles > 1:
        metrics["style_diversity_vs_real"] = style_diversity(measures.features) / pdist(real.features[:, 0]).mean()
    if len(measures.lpips):
        metrics["lpips_diversity"] = float(measures.lpips.mean())
    return metrics | {"images": count * styles}


def table_rows(
    source: str, of: np.ndarray | None, measures: Measures, real: Measures, rows: ShardDataset
) -> Iterator[dict[str, Any]]:
    """Yields a row for each portrait from a source of styles, `of` being which portraits gave them."""
    colors = measures.colors
    errors = np.full(colors.shape[:3], np.nan) if of is None else color_errors(colors, real.colors[:, 0][of])
    mious = measures.mious()
    for mask, style in np.ndindex(mious.shape):
        yield {
            "mask": rows.ids[mask],
            "source": source,
            "style": source if of is None else rows.ids[of[mask, style]],
            "resegmentation_miou": mious[mask, style],
        } | dict(zip(REGIONS, errors[mask, style].tolist(), strict=True))


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Writes rows of the same keys as a CSV with a header; what is NaN, not measured, is an empty cell."""
    with atomic_write(path) as tmp, tmp.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: "" if value != value else value for key, value in row.items()} for row in rows)
