"""The command of rule `review_portraits`."""

from pathlib import Path
from typing import Annotated

import numpy as np

from facemill.config.label import LabelsConfig
from facemill.config.review import ReviewConfig
from facemill.data.shards import decode_image, decode_mask, read_rows, rows_at, write_shard
from facemill.errors import UserError
from facemill.files import atomic_folder
from facemill.imaging.figures import image_grid, overlay, save_picture
from facemill.log import log
from facemill.networks.store import load_model
from facemill.networks.unet import Unet
from facemill.review.review_portraits import CANDIDATES, RANKING, choose, features, scored, write_labelme
from facemill.workflow.command import Settings, run

COLUMNS = 6


def main(
    *,
    scores: list[Path],
    portraits: list[Path],
    pseudo_labels: list[Path],
    labelled: list[Path],
    model: Path,
    settings: Annotated[ReviewConfig, Settings],
    labels: Annotated[LabelsConfig, Settings],
    out: Path,
    ranking: Path,
    picture: Path,
) -> None:
    """Ranks the portraits that nobody labelled and writes the first ones, all different, as labelme files to correct.

    Args:
        scores: tables of uncertainty and disagreement, one a shard
        portraits: shards of portraits, in the same order
        pseudo_labels: shards of their masks by v3, in the same order
        labelled: shards of hand-labelled portraits
        model: U-Net v3, whose encoder tells which portraits are alike
        settings: section `review` of the config, as JSON
        labels: section `labels` of the config, as JSON
        out: folder of images, labelme files and labels.txt
        ranking: table of all unlabelled portraits, the most doubtful first
        picture: PNG of the chosen portraits under their masks
    """
    known = list(read_rows(labelled, ["id", "image"]))
    ids = {row["id"] for row in known}
    rows = [(place, row) for place, row in enumerate(read_rows(scores)) if row["id"] not in ids]
    if not rows:
        raise UserError(f"{scores[0].parent}: every portrait is labelled; none is left to review")
    score = scored(*(np.array([row[key] for _, row in rows]) for key in ("uncertainty", "disagreement")))
    order = np.argsort(-score, kind="stable").tolist()
    places = [rows[i][0] for i in order[: CANDIDATES * settings.portraits]]
    images = rows_at(portraits, places, ["id", "image"])
    unet = load_model(Unet, model)
    seen = features(unet, (images[place] for place in places))
    taken = choose(score[order[: len(places)]], seen, features(unet, known), settings.portraits)
    masks = rows_at(pseudo_labels, [places[i] for i in taken], ["mask"])
    pairs = [(images[places[i]], masks[places[i]]) for i in taken]
    with atomic_folder(out) as tmp:
        write_labelme(tmp, pairs, labels)
    log.info("%d portraits to correct: labelme %s --labels %s/labels.txt", len(pairs), out, out)
    chosen = {i: number for number, i in enumerate(taken, 1)}
    ranked = [rows[i][1] | {"score": score[i], "chosen": chosen.get(rank)} for rank, i in enumerate(order)]
    write_shard(ranking, ranked, RANKING)

    shown = [(decode_image(p["image"]["bytes"]), decode_mask(m["mask"]["bytes"])) for p, m in pairs]
    grid = []
    for start in range(0, len(shown), COLUMNS):
        line = shown[start : start + COLUMNS]
        grid += [[image for image, _ in line], [overlay(image, mask) for image, mask in line]]
    save_picture(image_grid(grid), picture)


if __name__ == "__main__":
    run(main, gpu=True)
