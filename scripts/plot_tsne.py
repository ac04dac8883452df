"""Shows latents in a plane, with their hair colors."""

from pathlib import Path
from typing import Annotated

import numpy as np

from facemill.config.latent import TagsConfig
from facemill.data.shards import write_shard
from facemill.data.splits import held_out
from facemill.files import write_json
from facemill.latent.plot_tsne import (
    PLANE_SCHEMA,
    discriminant_purity,
    pca,
    plot_plane,
    purity,
    spread,
    trustworthiness,
    tsne,
)
from facemill.latent.rows import images_of, joined_rows
from facemill.workflow.command import Settings, run


def main(
    *,
    latents: list[Path],
    tags: list[Path],
    portraits: list[Path],
    palette: Annotated[TagsConfig, Settings],
    holdout: float,
    seed: int,
    out: Path,
    picture: Path,
    metrics: Path,
) -> None:
    """Places latents in a plane by t-SNE, and in another by PCA; writes the places, a picture, how true the planes are
    to the latents, and how pure neighborhoods are."""
    rows = list(joined_rows((latents, ["latent"]), (tags, ["hair_color"])))
    ids, names = [row["id"] for row in rows], [row["hair_color"] for row in rows]
    points = np.array([row["latent"] for row in rows], np.float32)
    plane, (principal, variance) = tsne(points, seed), pca(points)
    places = zip(ids, *plane.T, *principal.T, names, strict=True)
    write_shard(out, [dict(zip(PLANE_SCHEMA.names, place, strict=True)) for place in places], PLANE_SCHEMA)
    kept_out = np.array([held_out(id, holdout) for id in ids])
    trust = {
        "trustworthiness": trustworthiness(points, plane),
        "pca_trustworthiness": trustworthiness(points, principal),
    }
    figures = purity(points, names) | discriminant_purity(points, names, kept_out)
    write_json(metrics, figures | trust | {"pca_variance": variance})

    shown = spread(plane)
    images = images_of(portraits, [ids[i] for i in shown])
    display = {name: typical[0] for name, typical in palette.hair_colors.items()}
    plot_plane(picture, plane, principal, names, display, {i: images[ids[i]] for i in shown})


if __name__ == "__main__":
    run(main)
