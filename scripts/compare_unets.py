"""Compares U-Net versions on the same test portraits."""

from itertools import pairwise
from pathlib import Path

from facemill.data.shards import decode_image, decode_mask, read_rows
from facemill.errors import UserError
from facemill.files import write_json
from facemill.imaging.figures import colorize, image_grid, save_picture
from facemill.log import log
from facemill.networks.store import load_model
from facemill.networks.unet import Unet
from facemill.segment.compare_unets import measure, plot_comparison, plot_confusion, said_of_gains, telling
from facemill.workflow.command import run

SHOWN = 8


def main(*, models: list[Path], test: Path, metrics: Path, picture: Path, plot: Path, confusion: Path) -> None:
    """Compares U-Net versions on the same test portraits: numbers, masks side by side, bars.

    Args:
        models: one safetensors file a version, in folders named as the versions
        test: shard of labelled portraits that no version was trained on
        metrics: JSON of the numbers by version
        picture: PNG of portraits, true masks and each version's masks
        plot: PNG of the numbers as bars
        confusion: PNG of the confusion matrices
    """
    rows = list(read_rows([test], ["id", "image", "mask"]))
    if not rows:
        raise UserError(f"{test}: holds no portraits, so nothing can be compared; raise labels.test or label more")
    images = [decode_image(row["image"]["bytes"]) for row in rows]
    truths = [decode_mask(row["mask"]["bytes"]) for row in rows]
    versions = {path.parent.name: measure(load_model(Unet, path), images, truths) for path in models}
    summaries = {name: measured.summary() for name, measured in versions.items()}
    for before, name in pairwise(versions):
        summaries[name]["gain"] = versions[name].gain_over(versions[before])
    write_json(metrics, summaries)
    for sentence in said_of_gains(summaries):
        log.info("%s", sentence)
    plot_comparison(plot, summaries)
    plot_confusion(confusion, summaries)

    predicted = [measured.masks for measured in versions.values()]
    shown = telling(predicted, SHOWN)
    grid = [[images[i], *(colorize(masks[i]) for masks in [truths, *predicted])] for i in shown]
    ids = [rows[i]["id"] for i in shown]
    save_picture(image_grid(grid, ["portrait", "truth", *versions], ids, cell=150), picture)


if __name__ == "__main__":
    run(main, gpu=True)
