"""Makes the vectors between hair colours in latent space."""

from collections import Counter
from pathlib import Path

import numpy as np

from facemill.command import log, run
from facemill.latent.attributes import hair_means, save_vectors
from facemill.latent.rows import joined_rows
from facemill.splits import held_out


def main(*, latents: list[Path], colors: list[Path], min_images: int, holdout: float, vectors: Path) -> None:
    """Writes the mean latent of each hair colour and the vectors between them, and a JSON beside; held-out portraits
    are left out."""
    pairs = joined_rows((latents, ["latent"]), (colors, ["hair_color"]))
    rows = [row for row in pairs if not held_out(row["id"], holdout)]
    names = [row["hair_color"] for row in rows]
    counts = Counter(name for name in names if name is not None)
    means = hair_means(np.array([row["latent"] for row in rows]), names, min_images)
    save_vectors(vectors, means, counts)
    for name in sorted(counts.keys() - means.keys()):
        log.info("attribute_vectors: %s left out, it has %d of %d images", name, counts[name], min_images)


if __name__ == "__main__":
    run(main)
