"""Rule `review_portraits`: the portraits to label next (active learning), as labelme files to correct."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from PIL import Image

from facemill.config.label import LabelsConfig
from facemill.config.review import ReviewConfig
from facemill.data.batching import batched
from facemill.data.classes import ClassTable
from facemill.data.labelme import as_labelme
from facemill.data.names import as_file_name
from facemill.data.shards import decode_image, decode_mask, mask_classes, read_rows, rows_at, write_shard
from facemill.errors import UserError
from facemill.files import atomic_folder, write_json
from facemill.imaging.figures import image_grid, overlay, save_picture
from facemill.imaging.polygons import polygons, without_specks
from facemill.inference.segmenter import BATCH
from facemill.log import log
from facemill.networks.store import load_model
from facemill.networks.unet import Unet
from facemill.review import score_portraits

RANKING = score_portraits.SCHEMA.append(pa.field("score", pa.float32())).append(pa.field("chosen", pa.int32()))
"""`score`: mean rank of both numbers, 0 to 1; `chosen`: number in the order of choice, from 1, or null."""

CANDIDATES = 10
"""Candidates for each portrait to choose: those of the highest score."""

COLUMNS = 6
"""Portraits in a row of the picture."""

JPEG = b"\xff\xd8"
"""First bytes of a JPEG file; portraits are JPEG or PNG."""

SPECK = 64
"""Regions below (side / SPECK)^2 pixels are filled from their neighbors, so that there is less to correct."""


def review_portraits(
    *,
    scores: list[Path],
    portraits: list[Path],
    pseudo_labels: list[Path],
    labelled: list[Path],
    model: Path,
    settings: ReviewConfig,
    labels: LabelsConfig,
    labelme: Path,
    ranking: Path,
    picture: Path,
) -> None:
    """Ranks the unlabelled portraits (active learning) and writes the first, no two alike, as labelme files to correct.

    Args:
        scores: tables of uncertainty and disagreement, one for each shard.
        portraits: shards of portraits, in the same order.
        pseudo_labels: shards of their pseudo-labels, in the same order.
        labelled: shards of labelled portraits.
        model: U-Net (v3), whose encoder says which portraits are alike.
        settings: section `review` of the config, as JSON.
        labels: section `labels` of the config, as JSON.
        labelme: folder of images, labelme files and labels.txt.
        ranking: table of all unlabelled portraits, the highest score first.
        picture: PNG of the chosen portraits under their masks.
    """
    classes = mask_classes(pseudo_labels)
    labelled_rows = list(read_rows(labelled, ["id", "image"]))
    labelled_names = {as_file_name(row["id"]) for row in labelled_rows}  # as long ids are known by their names alone
    rows = [
        (index, row) for index, row in enumerate(read_rows(scores)) if as_file_name(row["id"]) not in labelled_names
    ]
    if not rows:
        raise UserError(f"{scores[0].parent}: every portrait is labelled; none is left to review")
    score = mean_rank(*(np.array([row[key] for _, row in rows]) for key in ("uncertainty", "disagreement")))
    order = np.argsort(-score, kind="stable").tolist()
    indices = [rows[i][0] for i in order[: CANDIDATES * settings.portraits]]
    candidates = rows_at(portraits, indices, ["id", "image"])
    unet = load_model(Unet, model, classes)
    embeddings = embed(unet, (candidates[index] for index in indices))
    chosen = select_diverse(score[order[: len(indices)]], embeddings, embed(unet, labelled_rows), settings.portraits)
    chosen_masks = rows_at(pseudo_labels, [indices[i] for i in chosen], ["mask"])
    pairs = [(candidates[indices[i]], chosen_masks[indices[i]]) for i in chosen]
    with atomic_folder(labelme) as tmp:
        write_labelme(tmp, pairs, labels, classes)
    log.info("%d portraits to correct: labelme %s --labels %s/labels.txt", len(pairs), labelme, labelme)
    number_of = {rank: number for number, rank in enumerate(chosen, 1)}
    ranked = [rows[i][1] | {"score": score[i], "chosen": number_of.get(rank)} for rank, i in enumerate(order)]
    write_shard(ranking, ranked, RANKING)
    save_picture(show_pairs(pairs, classes), picture)


def mean_rank(uncertainty: np.ndarray, disagreement: np.ndarray) -> np.ndarray:
    """The mean of the ranks in two scores, float (N,), each scaled to [0, 1]: float64 (N,)."""
    ranks = [np.argsort(np.argsort(values, kind="stable"), kind="stable") for values in (uncertainty, disagreement)]
    return np.mean(ranks, 0) / max(1, len(uncertainty) - 1)


@torch.inference_mode()
def embed(unet: Unet, portraits: Iterable[dict[str, Any]]) -> np.ndarray:
    """Embeddings of portraits (image): the encoder's deepest features, averaged; float32 (N, channels) of length 1."""
    device, embeddings = next(unet.parameters()).device, []
    for batch in batched(portraits, BATCH):
        images = np.stack([decode_image(row["image"]["bytes"]) for row in batch])
        deepest = unet.encode(torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float() / 255)[-1]
        embeddings.append(torch.nn.functional.normalize(deepest.mean((2, 3)), dim=1).cpu().numpy())
    return np.concatenate(embeddings)


def select_diverse(score: np.ndarray, embeddings: np.ndarray, labelled: np.ndarray, number: int) -> list[int]:
    """Chooses portraits of high score that are unlike each other and the labelled ones.

    Each choice maximizes the product of the score and the distance to the nearest labelled or chosen portrait: the
    greedy k-center of Sener and Savarese 2018 (https://arxiv.org/abs/1708.00489), weighted by score.

    Args:
        score: float (N,).
        embeddings: of the candidates, float (N, D).
        labelled: embeddings of the labelled portraits, float (M, D).
        number: of portraits to choose, at most.

    Returns:
        Indices of candidates in the order of choice.
    """
    distance = np.full(len(embeddings), np.inf)
    for center in labelled:
        distance = np.minimum(distance, np.linalg.norm(embeddings - center, axis=1))
    chosen: list[int] = []
    while len(chosen) < min(number, len(embeddings)):
        gain = score * np.where(np.isinf(distance), 1, distance)
        gain[chosen] = -1
        chosen.append(int(gain.argmax()))
        distance = np.minimum(distance, np.linalg.norm(embeddings - embeddings[chosen[-1]], axis=1))
    return chosen


def write_labelme(
    folder: Path, pairs: Iterable[tuple[dict[str, Any], dict[str, Any]]], labels: LabelsConfig, classes: ClassTable
) -> None:
    """Writes images, a labelme file of the mask beside each, and `labels.txt` with all labels.

    `labelme FOLDER --labels FOLDER/labels.txt` opens them. A class becomes the first label that is merged into it.
    An id that is a path, or no name of a file, is in the name as `as_file_name` spells it, and read back by
    `id_of_file` in the next run.

    Args:
        folder: where to write.
        pairs: portraits (id, image) and their masks (mask).
        labels: the labels merged into each class.
        classes: the masks' class table.
    """
    first_label = [(labels.merge.get(name) or [name])[0] for name in classes.names]
    for portrait, row in pairs:
        name, image = as_file_name(portrait["id"]), portrait["image"]["bytes"]
        mask = decode_mask(row["mask"]["bytes"], classes)
        outlines = polygons(without_specks(mask, round((mask.shape[0] / SPECK) ** 2)))
        shapes = [(first_label[c], outline) for c, outline in outlines]
        path = folder / f"{name}{'.jpg' if image.startswith(JPEG) else '.png'}"
        path.write_bytes(image)
        write_json(folder / f"{name}.json", as_labelme(path.name, mask.shape, shapes))
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in labels.label_ids(classes)))


def show_pairs(pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]], classes: ClassTable) -> Image.Image:
    """A picture of portraits (image), and under each the overlay with its mask (mask)."""
    images = [decode_image(portrait["image"]["bytes"]) for portrait, _ in pairs]
    masks = [decode_mask(row["mask"]["bytes"], classes) for _, row in pairs]
    overlays = [overlay(image, mask, classes) for image, mask in zip(images, masks, strict=True)]
    grid = []
    for start in range(0, len(pairs), COLUMNS):
        grid += [images[start : start + COLUMNS], overlays[start : start + COLUMNS]]
    return image_grid(grid)
