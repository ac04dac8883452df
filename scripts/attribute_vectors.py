"""Makes the attribute vectors."""

from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np

from facemill.data.splits import hash_fraction, held_out
from facemill.errors import UserError
from facemill.imaging.colors import REGIONS
from facemill.latent.attribute_vectors import attribute_vectors, save_vectors, split_half
from facemill.latent.rows import control_columns, joined_rows, labels_of
from facemill.latent.tag_portraits import GROUPS
from facemill.log import log
from facemill.workflow.command import run


def main(
    *,
    latents: list[Path],
    tags: list[Path],
    booleans: list[str] | None = None,
    preserve: list[str] | None = None,
    method: Literal["means", "logistic"],
    min_images: int,
    holdout: float,
    vectors: Path,
) -> None:
    """Writes the vectors between the names of each exclusive group and of each boolean, and a JSON beside; held-out
    portraits are left out.

    Parameters
    ----------
    booleans:
        tags that are attributes of their own
    preserve:
        regions' colors, and booleans, that vectors leave as they are
    method:
        difference of means, or normal of a logistic regression
    min_images:
        least number of latents behind a vector
    """
    columns = [*GROUPS, "tags", *REGIONS]
    rows = [row for row in joined_rows((latents, ["latent"]), (tags, columns)) if not held_out(row["id"], holdout)]
    points = np.array([row["latent"] for row in rows])
    labels, held = labels_of(rows, GROUPS, booleans or []), control_columns(rows, preserve or [], booleans or [])
    counts = Counter(row[group] for row in rows for group in GROUPS if row[group] is not None)
    counts.update({name: int(has.sum()) for name, has in labels.booleans.items()})

    found = attribute_vectors(points, labels, held, method, min_images)
    if not found.names():
        most = ", ".join(f"{name} {count}" for name, count in counts.most_common(3)) or "none"
        raise UserError(
            f"attributes.min_images: found {min_images}, which fewer than two names of a group reach; "
            f"accepted: a number that two of them reach (most frequent: {most})"
        )
    halves = np.array([hash_fraction(row["id"], "halves") < 0.5 for row in rows])
    save_vectors(vectors, found, counts, split_half(points, labels, held, method, halves))
    for name in sorted(counts.keys() - set(found.names())):
        log.info("attribute_vectors: %s left out, it has %d images", name, counts[name])


if __name__ == "__main__":
    run(main)
