"""Sums up the pseudo-labels and shows them from sure to unsure."""

import json
from pathlib import Path

from facemill.data.shards import decode_image, decode_mask, read_rows
from facemill.errors import UserError
from facemill.files import write_json
from facemill.imaging.figures import image_grid, overlay, save_picture
from facemill.segment.show_pseudo_labels import against_truth, quantiles, rows_at, sure_to_unsure
from facemill.workflow.command import run

SHOWN = 8


def main(
    *,
    portraits: list[Path],
    pseudo_labels: list[Path],
    gate: Path,
    timings: list[Path],
    labelled: list[Path],
    truth: Path | None = None,
    metrics: Path,
    picture: Path,
) -> None:
    """Sums up the pseudo-labels of all shards and shows portraits from sure to unsure.

    Args:
        portraits: shards of portraits
        pseudo_labels: shards of their pseudo-labels, in the same order
        gate: table that says which of them are rejected
        timings: JSON of `images` and `seconds` of each shard
        labelled: shards of hand-labelled portraits, which are left out of the comparison with the truth
        truth: folder of true masks, ID.png, where they are known
        metrics: JSON of the numbers; images per second are those of one job
        picture: PNG of the surest, median and least sure portraits
    """
    rows = list(read_rows(pseudo_labels, ["id", "confidence", "flip_disagreement"]))
    if not rows:
        raise UserError(f"{pseudo_labels[0].parent}: no portrait has a pseudo-label")
    confidence = [row["confidence"] for row in rows]
    rejected = [row["rejected"] for row in read_rows([gate], ["rejected"])]
    times = [json.loads(path.read_text()) for path in timings]
    numbers = {
        "images": len(rows),
        "images_per_second": sum(t["images"] for t in times) / sum(t["seconds"] for t in times),
        "accepted": sum(row is None for row in rejected) / len(rows),
        "confidence": quantiles(confidence),
        "flip_disagreement": quantiles([row["flip_disagreement"] for row in rows]),
    }
    if truth:
        numbers |= against_truth(pseudo_labels, truth, {row["id"] for row in read_rows(labelled, ["id"])})
    write_json(metrics, numbers)

    kinds = sure_to_unsure(confidence, SHOWN)
    places = {place for kind in kinds.values() for place in kind}
    shown = rows_at(portraits, places, ["id", "image"])
    masks = rows_at(pseudo_labels, places, ["id", "mask"])
    grid, captions = [], []
    for name, kind in kinds.items():
        pixels = [decode_image(shown[place]["image"]["bytes"]) for place in kind]
        grid += [
            pixels,
            [overlay(p, decode_mask(masks[i]["mask"]["bytes"]), 0.7) for p, i in zip(pixels, kind, strict=True)],
        ]
        out = sum(rejected[place] is not None for place in kind)
        sure = f"{confidence[kind[0]]:.3f} to {confidence[kind[-1]]:.3f}"
        captions += [name, sure + (f", {out} rejected" if out else "")]
    save_picture(image_grid(grid, captions=captions), picture)


if __name__ == "__main__":
    run(main)
