"""Benchmark of augmentation at 512 px: two cores against one.

    python benchmarks/augment.py [--portraits 200] [--copies 16]

The settings are those of config/folder.yaml. One core and two take turns, so that other work on the machine disturbs
both. The last line is JSON: the ratio of the times, and the pairs that two cores make in a second.
"""

import json
import os
import tempfile
import time
from pathlib import Path

import cyclopts
import yaml

from facemill.config.ingest import SampleConfig
from facemill.config.label import AugmentConfig, LabelsConfig
from facemill.data.classes import SEVEN
from facemill.ingest.render_sample import render
from facemill.label.augment_labels import augment_rows
from facemill.label.label_files import labelme_files
from facemill.label.labelled_rows import labelled_rows

ROOT = Path(__file__).parent.parent
TURNS = 4


def main(*, portraits: int = 200, copies: int = 16) -> None:
    """Renders the sample's portraits and warps them with one thread and with two.

    Args:
        portraits: how many.
        copies: augmented pairs of each.
    """
    labels = LabelsConfig(**yaml.safe_load((ROOT / "config/config.yaml").read_text())["labels"])
    warps = yaml.safe_load((ROOT / "config/folder.yaml").read_text())["augment"]
    settings = AugmentConfig(**warps | {"copies": copies})
    with tempfile.TemporaryDirectory() as name:
        sample = SampleConfig(portraits=portraits * 5 // 4 + 9, labelled=portraits)
        render(Path(name), sample, size=256, seed=1, classes=SEVEN, labels=labels)
        rows, _ = labelled_rows(labelme_files(Path(name, "labelled"), labels, SEVEN), SEVEN, 512, threads=2)
    cores = sorted(os.sched_getaffinity(0))[:2]
    seconds = {1: 0.0, 2: 0.0}
    for turn in range(TURNS):
        results = []
        for threads in (1, 2) if turn % 2 else (2, 1):
            os.sched_setaffinity(0, cores[:threads])
            start = time.perf_counter()
            results.append(augment_rows(rows[turn::TURNS], SEVEN, settings, 1, threads))
            seconds[threads] += time.perf_counter() - start
        assert results[0] == results[1]
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
    cyclopts.run(main)
