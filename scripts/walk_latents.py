"""Shows ways through latent space."""

from itertools import combinations
from pathlib import Path

import numpy as np

from facemill.data.splits import held_out
from facemill.errors import UserError
from facemill.imaging.figures import image_grid, save_animation, save_picture
from facemill.inference.editor import decoding_painter, mask_painter
from facemill.latent.attribute_vectors import Vectors, load_vectors
from facemill.latent.rows import joined_rows, masks_of, sample_ids
from facemill.latent.tag_portraits import GROUPS
from facemill.latent.walk_latents import interpolate, random_walk, slider
from facemill.networks.spade import Generator
from facemill.networks.store import load_model
from facemill.networks.vae import Vae
from facemill.workflow.command import run

SLIDER = (-1, -0.5, 0, 0.5, 1, 1.5)
WALKS, STATIONS, BETWEEN = 4, 6, 4
"""Random walks, stations of each, and steps from one to the next."""
INTERPOLATIONS = 6


def main(
    *,
    vectors: Path,
    vae: Path,
    latents: list[Path],
    tags: list[Path],
    gaugan: Path | None = None,
    pseudo_labels: list[Path] | None = None,
    strength: float,
    steps: int,
    holdout: float,
    seed: int,
    sliders: Path,
    walks: Path,
    walks_animation: Path,
    interpolations: Path,
    interpolations_animation: Path,
) -> None:
    """Draws held-out portraits along each vector, on random walks, and on straight lines to one another.

    Parameters
    ----------
    gaugan:
        paints the latents with a portrait's mask held; without it the VAE decodes them
    pseudo_labels:
        with GauGAN: the masks
    """
    found = load_vectors(vectors)
    rows = {row["id"]: row for row in joined_rows((latents, ["latent"]), (tags, [*GROUPS, "tags"]))}
    ids = sample_ids([id for id in rows if held_out(id, holdout)], len(rows), f"walks-{seed}")
    if len(ids) < 2:
        raise UserError(
            f"holdout: found {holdout}, which leaves {len(ids)} portraits; accepted: more, for two at least"
        )
    points = {id: np.array(row["latent"]) for id, row in rows.items()}
    slid = _slid(found, {id: rows[id] for id in ids})
    paired = [(ids[2 * i % len(ids)], ids[(2 * i + 1) % len(ids)]) for i in range(min(INTERPOLATIONS, len(ids) // 2))]
    walked = ids[:WALKS]

    if gaugan:
        masks = masks_of(pseudo_labels, {id for _, id, _ in slid} | {id for id, _ in paired} | set(walked))
        painter = mask_painter(load_model(Generator, gaugan), masks)
    else:
        painter = decoding_painter(load_model(Vae, vae))

    def painted(id: str, way: np.ndarray) -> list[np.ndarray]:
        return list(painter([id] * len(way), way))

    strips = [painted(id, slider(points[id], strength * vector, SLIDER)) for _, id, vector in slid]
    columns = [f"{place:g}" for place in SLIDER]
    save_picture(image_grid(strips, columns, [caption for caption, _, _ in slid], cell=96), sliders)

    ends = [(points[a], points[b]) for a, b in paired]
    strips = [painted(id, interpolate(a, b, steps)) for (id, _), (a, b) in zip(paired, ends, strict=True)]
    save_picture(image_grid(strips, [f"{share:.0%}" for share in np.linspace(0, 1, steps)]), interpolations)
    smooth = [painted(id, interpolate(a, b, 3 * steps)) for (id, _), (a, b) in zip(paired, ends, strict=True)]
    save_animation(smooth, interpolations_animation, columns=3)

    space = np.stack(list(points.values()))
    strips = [painted(id, random_walk(space, points[id], STATIONS, BETWEEN, seed + i)) for i, id in enumerate(walked)]
    save_picture(image_grid([strip[::BETWEEN] for strip in strips]), walks)
    save_animation(strips, walks_animation)


def _slid(vectors: Vectors, rows: dict[str, dict]) -> list[tuple[str, str, np.ndarray]]:
    """For each vector a caption, a portrait that stands at its beginning, and the vector."""
    found = []
    for group, names in vectors.groups.items():
        for a, b in combinations(names, 2):
            id = next((id for id, row in rows.items() if row[group] == a), None)
            found.append((f"{a} to {b}", id, vectors.step(a, b)))
    for name, vector in vectors.booleans.items():
        found.append((name, next((id for id, row in rows.items() if name not in row["tags"]), None), vector))
    return [(caption.replace("_", " "), id, vector) for caption, id, vector in found if id is not None]


if __name__ == "__main__":
    run(main, gpu=True)
