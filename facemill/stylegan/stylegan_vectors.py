"""Attribute vectors in W, fitted to generated portraits: the machinery of stage latent, with w as the latent."""

from pathlib import Path
from typing import Literal

import numpy as np

from facemill.data.splits import held_out
from facemill.latent.attribute_vectors import TAG_COLUMNS, Fit, fit_rows
from facemill.latent.rows import joined_rows
from facemill.log import log


def stylegan_vectors(
    *,
    generated: list[Path],
    tags: list[Path],
    booleans: list[str] | None = None,
    preserve: list[str] | None = None,
    method: Literal["means", "logistic"],
    min_images: int,
    holdout: float,
    vectors: Path,
) -> None:
    """Fits the vectors between the names of each exclusive group and to each boolean, to generated portraits.

    Rejected portraits are left out, unless there would be no vector without them.

    Args:
        generated: shards of generated portraits.
        tags: shards of their tags.
        booleans: tags that are attributes by themselves.
        preserve: regions' colors, and booleans, that vectors leave as they are.
        method: difference of means, or normal of a logistic regression.
        min_images: least number of portraits behind a vector.
        holdout: share of the portraits that are held out.
        vectors: the vectors to write; a JSON of the same name describes them.
    """
    joined = joined_rows((generated, ["w", "rejected"]), (tags, TAG_COLUMNS))
    rows = [row for row in joined if not held_out(row["id"], holdout)]

    def fit(fitted: list[dict]) -> Fit:
        return fit_rows(
            fitted, np.array([row["w"] for row in fitted]), booleans or [], preserve or [], method, min_images
        )

    accepted = [row for row in rows if row["rejected"] is None]
    result = fit(accepted) if accepted else None
    if result is None or not result.vectors.names():
        log.warning(
            "stylegan_vectors: too few of %d accepted portraits have a name: all %d count", *map(len, (accepted, rows))
        )
        result = fit(rows)
    result.vectors.save(vectors, result.counts, result.cosines)
    for name in sorted(result.counts.keys() - set(result.vectors.names())):
        log.info("stylegan_vectors: %s left out, %d portraits have it", name, result.counts[name])
