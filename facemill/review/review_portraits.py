"""The portraits to label next: where U-Nets are unsure or disagree, and no two alike; as labelme files to correct."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from facemill.config.label import LabelsConfig
from facemill.data import labelme
from facemill.data.batching import batched
from facemill.data.classes import CLASSES
from facemill.data.shards import decode_image, decode_mask
from facemill.imaging.polygons import polygons, without_specks
from facemill.inference.segmenter import BATCH
from facemill.label.convert_labels import class_ids
from facemill.metrics.segmentation import confusion, iou
from facemill.networks.unet import Unet

SCORES = pa.schema([("id", pa.string()), ("uncertainty", pa.float32()), ("disagreement", pa.float32())])
"""`uncertainty`: mean entropy of v3's pixels, in nats; `disagreement`: one less the mean IoU of v2's and v3's masks."""

RANKING = SCORES.append(pa.field("score", pa.float32())).append(pa.field("chosen", pa.int32()))
"""`score`: mean of the two numbers' ranks, 0 to 1; `chosen`: the place among those to label, from 1, else null."""

CANDIDATES = 10
"""How many times as many portraits as are wanted the choice of different ones is made from: those of highest score."""

JPEG = b"\xff\xd8"
"""The first bytes of such a file; portraits are JPEG or PNG."""

SPECK = 64
"""Regions smaller than the square of this part of the mask's side are given to their surroundings before editing."""


def scores(pseudo_labels: Iterable[dict], others: Iterable[dict]) -> Iterator[dict]:
    """Yields the rows of `SCORES` from v3's pseudo-labels (id, mask, entropy) and v2's (mask) of the same portraits."""
    for row, other in zip(pseudo_labels, others, strict=True):
        pair = decode_mask(row["mask"]["bytes"]), decode_mask(other["mask"]["bytes"])
        agreement = np.nanmean(iou(confusion(*pair, len(CLASSES))))
        yield {"id": row["id"], "uncertainty": row["entropy"], "disagreement": 1 - agreement}


def scored(uncertainty: np.ndarray, disagreement: np.ndarray) -> np.ndarray:
    """The mean of the two numbers' ranks, each from 0 to 1: float64 (N,)."""
    ranks = [np.argsort(np.argsort(values, kind="stable"), kind="stable") for values in (uncertainty, disagreement)]
    return np.mean(ranks, 0) / max(1, len(uncertainty) - 1)


@torch.inference_mode()
def features(unet: Unet, portraits: Iterable[dict]) -> np.ndarray:
    """What the encoder sees in portraits (image), without where: float32 (N, channels) of length 1."""
    device, found = next(unet.parameters()).device, []
    for batch in batched(portraits, BATCH):
        images = np.stack([decode_image(row["image"]["bytes"]) for row in batch])
        deepest = unet.encode(torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float() / 255)[-1]
        found.append(torch.nn.functional.normalize(deepest.mean((2, 3)), dim=1).cpu().numpy())
    return np.concatenate(found)


def choose(score: np.ndarray, seen: np.ndarray, known: np.ndarray, number: int) -> list[int]:
    """Indices of portraits of high score (N,) that are unlike each other and the labelled ones, best first.

    `seen`, float (N, D), and `known`, float (M, D), are the features of both. One after another the portrait with the
    greatest product of score and distance to the nearest labelled or chosen one is taken (the greedy k-center of Sener
    and Savarese 2018, https://arxiv.org/abs/1708.00489, weighted by score).
    """
    nearest = np.full(len(seen), np.inf)
    for one in known:
        nearest = np.minimum(nearest, np.linalg.norm(seen - one, axis=1))
    taken: list[int] = []
    while len(taken) < min(number, len(seen)):
        gain = score * np.where(np.isinf(nearest), 1, nearest)
        gain[taken] = -1
        taken.append(int(gain.argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(seen - seen[taken[-1]], axis=1))
    return taken


def write_labelme(folder: Path, pairs: Iterable[tuple[dict, dict]], settings: LabelsConfig) -> None:
    """Writes portraits (id, image) beside labelme files of their masks (mask), and `labels.txt` with all labels.

    `labelme FOLDER --labels FOLDER/labels.txt` opens them. A class is written as the first label merged into it.
    """
    names = [settings.merge[name][0] if settings.merge[name] else name for name in CLASSES]
    for portrait, row in pairs:
        id, image, mask = portrait["id"], portrait["image"]["bytes"], decode_mask(row["mask"]["bytes"])
        parts = polygons(without_specks(mask, round((mask.shape[0] / SPECK) ** 2)))
        name = f"{id}.jpg" if image.startswith(JPEG) else f"{id}.png"
        (folder / name).write_bytes(image)
        labelme.write(folder / f"{id}.json", name, mask.shape, [(names[c], points) for c, points in parts])
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in class_ids(settings)))
