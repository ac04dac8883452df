"""The command of rule `summarize`."""

import json
from pathlib import Path

from facemill.command import run
from facemill.files import write_json
from facemill.shards import count_rows


def main(
    *,
    posts: Path,
    selected: Path,
    portraits: list[Path],
    rejects: list[Path],
    labels: list[Path],
    augmented: Path,
    unet: Path,
    pseudo_labels: Path,
    vae: Path,
    gaugan: Path,
    tsne: Path,
    attributes: Path,
    out: Path,
) -> None:
    """Gathers every number of a run in one JSON: rows are counted, the rest is what each stage measured itself.

    Args:
        posts: table of all posts
        selected: table of the posts that the filter keeps
        portraits: shards of portraits
        rejects: tables of what could not be used
        labels: the labelled portraits' parts
        augmented: shard of augmented portraits
        unet: metrics of each U-Net version
        pseudo_labels: metrics of the masks of the whole collection
        vae: metrics of the VAE
        gaugan: metrics of GauGAN
        tsne: metrics of the plane of latents
        attributes: metrics of each attribute vector
        out: the JSON to write
    """
    counted = {
        "posts": count_rows([posts]),
        "selected": count_rows([selected]),
        "portraits": count_rows(portraits),
        "rejected": count_rows(rejects),
        "labels": {"images": count_rows(labels), "augmented": count_rows([augmented])},
    }
    measured = {
        "unet": unet,
        "pseudo_labels": pseudo_labels,
        "vae": vae,
        "gaugan": gaugan,
        "tsne": tsne,
        "attributes": attributes,
    }
    write_json(out, counted | {name: json.loads(path.read_text()) for name, path in measured.items()})


if __name__ == "__main__":
    run(main)
