"""Fits linear probes to latents, and measures them."""

from pathlib import Path

import numpy as np

from facemill.data.splits import held_out
from facemill.files import write_json
from facemill.latent.probe_latents import balanced_accuracies, fit_probes, save_probes
from facemill.latent.rows import joined_rows, labels_of, official_test_ids
from facemill.latent.tag_portraits import GROUPS
from facemill.workflow.command import run


def main(
    *,
    latents: list[Path],
    tags: list[Path],
    portraits: list[Path],
    booleans: list[str] | None = None,
    min_images: int,
    holdout: float,
    probes: Path,
    metrics: Path,
) -> None:
    """Fits a logistic regression for each exclusive group and boolean, and writes its balanced accuracy on the
    collection's own test portraits, or on the held-out ones where it has none; neither is fitted to."""
    rows = list(joined_rows((latents, ["latent"]), (tags, [*GROUPS, "tags"])))
    points = np.array([row["latent"] for row in rows])
    labels, kept = labels_of(rows, GROUPS, booleans or []), np.array([held_out(row["id"], holdout) for row in rows])
    tests = official_test_ids(portraits)
    asked = np.array([row["id"] in tests for row in rows]) if tests else kept
    fitted = ~kept & ~asked
    found = fit_probes(points[fitted], labels.part(fitted), min_images)
    save_probes(probes, found)
    write_json(metrics, balanced_accuracies(found, points[asked], labels.part(asked)))


if __name__ == "__main__":
    run(main)
