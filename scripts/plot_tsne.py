"""Shows latents in a plane, with their hair colours."""

from pathlib import Path

import numpy as np

from facemill.command import Annotated, Settings, run
from facemill.config import Tags
from facemill.files import write_json
from facemill.latent.rows import drawn, images_of, joined_rows
from facemill.latent.tsne import PLANE_SCHEMA, plot_plane, purity, spread, tsne
from facemill.shards import write_shard


def main(
    *,
    latents: list[Path],
    colors: list[Path],
    portraits: list[Path],
    palette: Annotated[Tags, Settings],
    seed: int,
    limit: int,
    out: Path,
    picture: Path,
    metrics: Path,
) -> None:
    """Places at most `limit` latents in a plane by t-SNE; writes places, picture, and how pure neighbourhoods are."""
    rows = {row["id"]: row for row in joined_rows((latents, ["latent"]), (colors, ["hair_color"]))}
    ids = drawn(rows, limit, f"tsne-{seed}")
    points = np.array([rows[id]["latent"] for id in ids], np.float32)
    names = [rows[id]["hair_color"] for id in ids]
    plane = tsne(points, seed)
    places = zip(ids, plane[:, 0], plane[:, 1], names, strict=True)
    write_shard(out, [dict(zip(PLANE_SCHEMA.names, place, strict=True)) for place in places], PLANE_SCHEMA)
    write_json(metrics, purity(points, names))

    shown = spread(plane)
    images = images_of(portraits, [ids[i] for i in shown])
    display = {name: typical[0] for name, typical in palette.hair_colors.items()}
    plot_plane(picture, plane, names, display, {i: images[ids[i]] for i in shown})


if __name__ == "__main__":
    run(main)
