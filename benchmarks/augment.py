"""Augmentation of labelled portraits at 512 px: two cores against one.

    python benchmarks/augment.py [--portraits 200] [--copies 16]

The settings are those of config/folder.yaml. One core and two take turns, so that other work on the machine disturbs
both. The last line holds the ratio of the times and the pairs that two cores make in a second, as JSON.
"""

import json
import os
import tempfile
import time
from pathlib import Path

import yaml

from facemill.config.label import AugmentConfig, LabelsConfig
from facemill.ingest.render_sample import render
from facemill.label.augment_labels import augmented
from facemill.label.convert_labels import labelled_portraits, labelme_files
from facemill.workflow.command import run

ROOT = Path(__file__).parent.parent
TURNS = 4


def main(*, portraits: int = 200, copies: int = 16) -> None:
    """Renders the sample's portraits and warps them with one thread and with two.

    Args:
        portraits: how many
        copies: augmented pairs of each
    """
    labels = LabelsConfig(**yaml.safe_load((ROOT / "config/config.yaml").read_text())["labels"])
    warps = yaml.safe_load((ROOT / "config/folder.yaml").read_text())["augment"]
    settings = AugmentConfig(**warps | {"copies": copies})
    with tempfile.TemporaryDirectory() as name:
        for _ in render(Path(name, "sample"), portraits * 5 // 4 + 9, portraits, size=256, seed=1):
            pass
        rows, _ = labelled_portraits(labelme_files(Path(name, "sample/labelled"), labels), 512, threads=2)
    cores = sorted(os.sched_getaffinity(0))[:2]
    seconds = {1: 0.0, 2: 0.0}
    for turn in range(TURNS):
        made = []
        for threads in (1, 2) if turn % 2 else (2, 1):
            os.sched_setaffinity(0, cores[:threads])
            start = time.perf_counter()
            made.append(augmented(rows[turn::TURNS], settings, 1, threads))
            seconds[threads] += time.perf_counter() - start
        assert made[0] == made[1]
    pairs = portraits * copies
    print(f"{portraits} portraits to {pairs} pairs of 512 x 512 pixels, the same bytes with one core and two")
    for threads, spent in seconds.items():
        print(f"{threads} core{'s' if threads > 1 else ' '} {spent:8.1f} s {pairs / spent:8.1f} pairs a second")
    print(
        json.dumps(
            {"two_cores_vs_one": round(seconds[1] / seconds[2], 3), "pairs_per_second": round(pairs / seconds[2], 1)}
        )
    )


if __name__ == "__main__":
    run(main)
