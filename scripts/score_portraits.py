"""The command of rule `score_portraits`."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from facemill.data.shards import count_rows, read_rows, write_shard
from facemill.inference.backends import fastest_backend
from facemill.log import progress
from facemill.networks.store import load_model
from facemill.networks.unet import Unet
from facemill.review.review_portraits import SCORES, scores
from facemill.segment.pseudo_label import pseudo_labels as labelled_by
from facemill.workflow.command import run


def main(*, model: Path, portraits: Path, pseudo_labels: Path, out: Path) -> None:
    """Scores a shard of portraits by how unsure v3 is and how much v2 disagrees with it.

    Args:
        model: U-Net v2, a safetensors file or the folder that holds it
        portraits: shard of portraits
        pseudo_labels: shard of v3's masks of the same portraits
        out: table with columns id, uncertainty, disagreement
    """
    label = fastest_backend(load_model(Unet, model))
    with ThreadPoolExecutor(2) as pool:
        others = labelled_by(label, read_rows([portraits], ["id", "image"]), pool)
        found = scores(read_rows([pseudo_labels], ["id", "mask", "entropy"]), others)
        rows = list(progress(found, f"score_portraits {portraits.stem}", count_rows([portraits])))
    write_shard(out, rows, SCORES)


if __name__ == "__main__":
    run(main, gpu=True)
