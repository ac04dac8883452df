"""Labels a shard of portraits with a U-Net."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from facemill.data.shards import count_rows, read_rows, write_shard
from facemill.files import write_json
from facemill.inference.backends import labeller
from facemill.log import progress
from facemill.networks.store import load_model
from facemill.networks.unet import Unet
from facemill.segment.pseudo_label import SCHEMA, pseudo_labels
from facemill.workflow.command import run


def main(*, model: Path, portraits: Path, out: Path, metrics: Path) -> None:
    """Labels a shard of portraits with a U-Net; writes a shard with the same rows, and how long it took.

    Args:
        model: the U-Net, a safetensors file or the folder that holds it
        portraits: shard of portraits
        out: shard of masks with confidence, entropy, flip_disagreement pixels and areas
        metrics: JSON of `images` and `seconds`, from opening the shard to its last mask
    """
    label = labeller(load_model(Unet, model))
    start = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        labelled = pseudo_labels(label, read_rows([portraits], ["id", "image"]), pool)
        rows = list(progress(labelled, f"pseudo_label {portraits.stem}", count_rows([portraits])))
    seconds = time.monotonic() - start
    write_shard(out, rows, SCHEMA)
    write_json(metrics, {"images": len(rows), "seconds": round(seconds, 3)})


if __name__ == "__main__":
    run(main, gpu=True)
