"""The command of rule `judge_labels`."""

import csv
from pathlib import Path

import cv2
import numpy as np

from facemill.data.batching import batched
from facemill.data.classes import CLASSES
from facemill.data.shards import decode_image, decode_mask, read_rows
from facemill.files import atomic_write
from facemill.imaging.figures import colorize, image_grid, overlay, save_picture
from facemill.inference.segmenter import BATCH
from facemill.log import log
from facemill.networks.store import load_model
from facemill.networks.unet import Unet
from facemill.review.judge_labels import Judged, judge, outlying, probabilities
from facemill.workflow.command import run

SHOWN = 12


def main(*, models: list[Path], held_out: list[Path], ranking: Path, picture: Path) -> None:
    """Ranks labelled portraits by how much networks that were trained without them contradict their labels.

    Args:
        models: U-Nets, one a fold
        held_out: the labelled portraits of each fold, which its network was not trained on
        ranking: CSV of all portraits, the most contradicted first: in which class, how far above what is usual for that
            class (robust deviations), and the contradiction of each class, 0 to 1, empty where it is not there
        picture: PNG of the first: portrait, label, the network's mask, and where it contradicts (white)
    """
    rows: list[dict] = []
    judged: list[Judged] = []
    for model, path in zip(models, held_out, strict=True):
        unet = load_model(Unet, model)
        for batch in batched(read_rows([path]), BATCH):
            found = probabilities(unet, [decode_image(row["image"]["bytes"]) for row in batch])
            judged += [judge(p, decode_mask(row["mask"]["bytes"])) for p, row in zip(found, batch, strict=True)]
            rows += batch
    contradictions = np.stack([one.contradictions for one in judged])
    away = outlying(contradictions)
    order = np.argsort(-away.max(1), kind="stable").tolist()
    worst = [CLASSES[c] for c in away.argmax(1)]
    with atomic_write(ranking) as tmp, tmp.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "class", "deviations", *CLASSES])
        for i in order:
            numbers = ["" if np.isnan(value) else f"{value:.4f}" for value in contradictions[i]]
            writer.writerow([rows[i]["id"], worst[i], f"{away[i].max():.2f}", *numbers])
    log.info("most contradicted: %s", ", ".join(f"{rows[i]['id']} ({worst[i]})" for i in order[:5]))

    grid = []
    for i in order[:SHOWN]:
        image, label = decode_image(rows[i]["image"]["bytes"]), decode_mask(rows[i]["mask"]["bytes"])
        where = cv2.cvtColor((judged[i].against * 255).astype(np.uint8), cv2.COLOR_GRAY2RGB)
        grid.append([image, overlay(image, label), colorize(label), colorize(judged[i].mask), where])
    captions = [f"{rows[i]['id'][:16]}: {worst[i]}" for i in order[:SHOWN]]
    columns = ["portrait", "label over it", "label", "network", "contradiction"]
    save_picture(image_grid(grid, columns, captions), picture)


if __name__ == "__main__":
    run(main, gpu=True)
