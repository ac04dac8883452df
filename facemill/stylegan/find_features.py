"""Which feature maps of a StyleGAN follow a class of the masks: thresholded, a map's pixels are the class's.

Bau et al. 2019 (https://arxiv.org/abs/1811.10597), section 3.1, equation 2; here sign and threshold are chosen on one
half of the portraits, and the IoU is that of the other. Portraits are aligned, so that the mean mask alone has a high
IoU, too: a map counts by its gain over this prior. The ceiling is a logistic regression of all of a layer's maps.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn import functional as F

from facemill.config.stylegan import EditsConfig
from facemill.data.classes import ClassTable
from facemill.data.shards import mask_classes, write_table
from facemill.errors import UserError
from facemill.files import write_json
from facemill.imaging.figures import image_grid, save_picture
from facemill.inference.sampler import Sampler
from facemill.log import log
from facemill.networks.device import autocast
from facemill.networks.style_edits import stages
from facemill.stylegan.edit_rows import Generated, read_generated
from facemill.stylegan.edits import BATCH, LOCK_SIDE

QUANTILES = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.96, 0.98, 0.99)
"""Shares of a map's positions that lie below the thresholds that are tried."""
MOST_HEIGHT = 64
"""Maps are compared with masks at this height, at most."""
FITTED = 5000
"""Positions to which the logistic regression of a layer is fitted."""
BEST = 3
"""Maps of each class in the picture."""
SHOWN = 8
"""Portraits in the picture."""

SCHEMA = pa.schema(
    [
        *(("class", pa.string()), ("layer", pa.int32()), ("channel", pa.int32()), ("sign", pa.int8())),
        *((name, pa.float32()) for name in ("threshold", "iou", "prior_iou", "gain", "linear_iou")),
    ]
)
"""Rows of the features: a class and a map, in the order of classes, the largest gain first.

`sign`: 1 where the class is above the threshold, -1 where it is below. `iou`: of the half by which neither was chosen.
`prior_iou`: of the mean mask, `gain`: the difference. `linear_iou`: of all of the layer's maps together.
"""


def find_features(
    *, model: Path, generated: list[Path], settings: EditsConfig, features: Path, metrics: Path, picture: Path
) -> None:
    """Compares each feature map, from 8 pixels of width on, with each class of generated portraits' masks.

    Args:
        model: the generator, a safetensors file.
        generated: shards of generated portraits.
        settings: the section `edits`.
        features: the table to write, see `SCHEMA`.
        metrics: JSON: for each class its best map, and the mean of their gains over the classes that a layer shows.
        picture: PNG of the best maps over portraits: green where they are positive, red where they are negative.
    """
    sampler, classes = Sampler.load(model), mask_classes(generated)
    portraits = read_generated(generated, classes, settings.samples, lambda row_id: True)
    if len(portraits) < 2:
        raise UserError("generated.portraits: found 1; accepted: at least 2, half of them to choose maps by")
    layers = [layer for layer, (_, width) in enumerate(sampler.generator.sides()) if width >= LOCK_SIDE]
    rows = [row for layer in layers for row in layer_rows(sampler, portraits, classes, layer)]
    rows.sort(key=lambda row: (classes.names.index(row["class"]), -row["gain"]))
    write_table(features, pa.Table.from_pylist(rows, SCHEMA))
    best = {name: next((row for row in rows if row["class"] == name), None) for name in classes.names}
    gains = [row["gain"] for row in best.values() if row]
    write_json(
        metrics, {"gain": float(np.mean(gains)) if gains else None, "portraits": len(portraits.ids), "best": best}
    )
    log.info(
        "find_features: gain over the mean mask %s", {name: row and round(row["gain"], 2) for name, row in best.items()}
    )
    save_picture(feature_grid(sampler, portraits, classes, rows), picture)


class Positions(NamedTuple):
    """A layer's maps and the masks at their positions, half by half."""

    values: np.ndarray
    """float32 (P, C)."""
    labels: np.ndarray
    """Whether each class is there, bool (P, K)."""
    prior: np.ndarray
    """The share of the first half's masks that have each class there, float64 (P, K)."""


@torch.inference_mode()
def maps_of(sampler: Sampler, styles: Tensor, layer: int) -> Tensor:
    """A layer's maps of styles (N, w_dim), float32 (N, C, h, w) on the CPU, at `MOST_HEIGHT` at most."""
    maps = []
    for batch in styles.split(BATCH):
        with autocast():
            computed = stages(sampler.generator, batch.clone().to(sampler.device))
            x = next(stage.maps for index, stage in enumerate(computed) if index == layer).float()
        maps.append(F.avg_pool2d(x, max(x.shape[2] // MOST_HEIGHT, 1)).cpu())
    return torch.cat(maps)


def shares_of(masks: np.ndarray, classes: ClassTable, height: int) -> np.ndarray:
    """The share of each class at the positions of maps, float32 (N, K, h, w), of masks, uint8 (N, H, W)."""
    one_hot = torch.from_numpy(np.stack([masks == index for index in range(len(classes))], 1)).float()
    return F.avg_pool2d(one_hot, masks.shape[1] // height).numpy()


def halves(sampler: Sampler, portraits: Generated, classes: ClassTable, layer: int) -> list[Positions]:
    """The positions of a layer in every other portrait, and in the others."""
    maps = maps_of(sampler, portraits.styles, layer).numpy()
    shares = shares_of(portraits.masks, classes, maps.shape[2])
    prior = shares[::2].mean(0, dtype=np.float64)
    return [
        Positions(
            maps[half].transpose(0, 2, 3, 1).reshape(-1, maps.shape[1]),
            (shares[half] > 0.5).transpose(0, 2, 3, 1).reshape(-1, len(classes)),
            np.tile(prior.reshape(len(classes), -1).T, (len(maps[half]), 1)),
        )
        for half in (slice(0, None, 2), slice(1, None, 2))
    ]


def layer_rows(sampler: Sampler, portraits: Generated, classes: ClassTable, layer: int) -> Iterator[dict]:
    """Yields a row of `SCHEMA` for each class that the layer's positions show in both halves, and each map."""
    chosen, judged = halves(sampler, portraits, classes, layer)
    present = np.flatnonzero(chosen.labels.any(0) & judged.labels.any(0))
    levels = np.stack([QUANTILES, 1 - np.array(QUANTILES)])
    thresholds = np.quantile(chosen.values, levels.ravel(), axis=0).reshape(*levels.shape, -1)  # (2, Q, C)
    rising = [ious(chosen.values > t, chosen.labels) for t in thresholds[0]]
    falling = [ious(chosen.values < t, chosen.labels) for t in thresholds[1]]
    tried = np.stack([rising, falling])  # (2, Q, C, K)
    linear = linear_ious(chosen, judged, present)
    for index in map(int, present):
        prior = prior_iou(chosen, judged, index)
        for channel in range(chosen.values.shape[1]):
            below, q = np.unravel_index(tried[:, :, channel, index].argmax(), tried.shape[:2])
            sign, threshold = (-1 if below else 1), float(thresholds[below, q, channel])
            shown = sign * judged.values[:, channel] > sign * threshold
            iou = float(ious(shown[:, None], judged.labels[:, [index]])[0, 0])
            row = {"class": classes.names[index], "layer": layer, "channel": channel, "sign": sign}
            row |= {"threshold": threshold, "iou": iou, "prior_iou": prior, "gain": iou - prior}
            yield row | {"linear_iou": linear[index]}


def ious(shown: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The IoU of maps, bool (P, C), with classes, bool (P, K): float64 (C, K)."""
    intersection = shown.T.astype(np.float32) @ labels.astype(np.float32)
    union = shown.sum(0)[:, None] + labels.sum(0)[None] - intersection
    return np.asarray(intersection / np.maximum(union, 1), np.float64)


def prior_iou(chosen: Positions, judged: Positions, index: int) -> float:
    """The IoU of the mean mask of a class, thresholded as is best for the half by which maps are chosen."""
    levels = np.linspace(0.05, 0.95, 19)
    best = ious(chosen.prior[:, [index]] > levels, chosen.labels[:, [index]])[:, 0].argmax()
    return float(ious(judged.prior[:, [index]] > levels[best], judged.labels[:, [index]])[0, 0])


def linear_ious(chosen: Positions, judged: Positions, present: Sequence[int] | np.ndarray) -> dict[int, float]:
    """The IoU of each class with what a logistic regression of all maps takes for it, by the class's index."""
    random = np.random.default_rng(0)
    known = np.flatnonzero(chosen.labels.any(1))
    sample = random.choice(known, min(FITTED, len(known)), replace=False)
    mean, scale = chosen.values[sample].mean(0), chosen.values[sample].std(0) + 1e-6
    targets = chosen.labels[sample].argmax(1)
    if len(np.unique(targets)) < 2:
        return dict.fromkeys(map(int, present), float("nan"))
    model = LogisticRegression(C=0.1, max_iter=200).fit((chosen.values[sample] - mean) / scale, targets)
    predicted = model.predict((judged.values - mean) / scale)
    return {int(i): float(ious((predicted == i)[:, None], judged.labels[:, [i]])[0, 0]) for i in present}


def feature_grid(sampler: Sampler, portraits: Generated, classes: ClassTable, rows: Sequence[dict]) -> Image.Image:
    """The `BEST` maps of each class over portraits, below these."""
    shown = portraits.take(range(min(SHOWN, len(portraits.ids))))
    lines: list[list[np.ndarray]] = [list(shown.images)]
    captions = [""]
    for name in classes.names:
        for row in [row for row in rows if row["class"] == name][:BEST]:
            maps = maps_of(sampler, shown.styles, row["layer"])[:, row["channel"]].numpy()
            scale = max(float(np.abs(maps).max()), 1e-6)
            lines.append([colored(image, m / scale) for image, m in zip(shown.images, maps, strict=True)])
            captions.append(f"{name}  {row['layer']}:{row['channel']}  {row['gain']:+.2f}")
    return image_grid(lines, captions=captions, cell=96)


def colored(image: np.ndarray, feature: np.ndarray) -> np.ndarray:
    """A map, float (h, w) in [-1, 1], over a gray portrait, uint8 RGB (H, W, 3): green above 0, red below."""
    gray = np.repeat(image.mean(2, keepdims=True), 3, 2)
    height, width = image.shape[:2]
    large = np.kron(feature, np.ones((height // feature.shape[0], width // feature.shape[1])))[..., None]
    color = np.where(large > 0, (0, 200, 80), (220, 40, 40))
    return np.asarray(gray + np.abs(large) * (color - gray)).astype(np.uint8)
