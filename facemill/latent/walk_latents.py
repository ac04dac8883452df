"""Paths through latent space: sliders along vectors, random walks, interpolations between portraits."""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np

from facemill.data.shards import mask_classes
from facemill.data.splits import held_out
from facemill.errors import UserError
from facemill.imaging.figures import image_grid, save_animation, save_picture
from facemill.inference.editor import LatentPainter, decoding_painter, mask_painter, traverse
from facemill.inference.painter import Painter
from facemill.inference.vectors import Vectors
from facemill.latent.attributes import GROUPS
from facemill.latent.rows import joined_rows, masks_of, sample_ids
from facemill.networks.store import load_model
from facemill.networks.vae import Vae

SLIDER = (-1, -0.5, 0, 0.5, 1, 1.5)
"""Positions along a vector."""

WALKS, STATIONS, STEPS_BETWEEN = 4, 6, 4
"""Number of random walks, stations of each, and steps from one station to the next."""

INTERPOLATIONS = 6

STRIDE = 0.9
"""Angle between two stations of a random walk, in radians: neighbors are alike, the fourth has little of the first."""


def walk_latents(
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
    """Paints held-out portraits along each vector, on random walks, and on straight lines to one another.

    Args:
        vectors: the attribute vectors.
        vae: the VAE.
        latents: shards of latents.
        tags: shards of tags.
        gaugan: paints the latents with a portrait's mask fixed; without it the VAE decodes them.
        pseudo_labels: with GauGAN: shards of masks.
        strength: factor of each vector.
        steps: pictures in an interpolation.
        holdout: share of the portraits that are held out.
        seed: of the portraits and the random walks.
        sliders: the picture of portraits along each vector to write.
        walks: the picture of random walks to write.
        walks_animation: the animation of random walks to write.
        interpolations: the picture of interpolations to write.
        interpolations_animation: the animation of interpolations to write.
    """
    rows = {row["id"]: row for row in joined_rows((latents, ["latent"]), (tags, [*GROUPS, "tags"]))}
    ids = sample_ids(
        [portrait_id for portrait_id in rows if held_out(portrait_id, holdout)], len(rows), f"walks-{seed}"
    )
    if len(ids) < 2:
        raise UserError(
            f"holdout: found {holdout}, which leaves {len(ids)} portraits; accepted: more, for two at least"
        )
    points = {portrait_id: np.array(row["latent"]) for portrait_id, row in rows.items()}
    starts = slider_starts(Vectors.load(vectors), {portrait_id: rows[portrait_id] for portrait_id in ids})
    pairs = [(ids[2 * i % len(ids)], ids[(2 * i + 1) % len(ids)]) for i in range(min(INTERPOLATIONS, len(ids) // 2))]
    shown = {portrait_id for _, portrait_id, _ in starts} | {portrait_id for portrait_id, _ in pairs} | set(ids[:WALKS])
    paint = _load_painter(vae, gaugan, pseudo_labels or [], shown)
    draw_sliders(paint, starts, points, strength, sliders)
    draw_interpolations(paint, pairs, points, steps, interpolations, interpolations_animation)
    draw_walks(paint, ids[:WALKS], points, seed, walks, walks_animation)


def slider_starts(vectors: Vectors, rows: Mapping[str, dict]) -> list[tuple[str, str, np.ndarray]]:
    """A caption, the id of a portrait at the beginning, and the vector, for each vector.

    Vectors without a portrait at the beginning are left out; `rows` are rows of tags by portrait id.
    """
    starts = []
    for group, names in vectors.groups.items():
        for a, b in combinations(names, 2):
            ids = [portrait_id for portrait_id, row in rows.items() if row[group] == a]
            starts += [(f"{a} to {b}", portrait_id, vectors.step(a, b)) for portrait_id in ids[:1]]
    for name, vector in vectors.booleans.items():
        ids = [portrait_id for portrait_id, row in rows.items() if name not in row["tags"]]
        starts += [(name, portrait_id, vector) for portrait_id in ids[:1]]
    return [(caption.replace("_", " "), portrait_id, vector) for caption, portrait_id, vector in starts]


def _load_painter(vae: Path, gaugan: Path | None, pseudo_labels: Sequence[Path], ids: set[str]) -> LatentPainter:
    """GauGAN with the masks of these portraits fixed, or the VAE's decoder without GauGAN."""
    if gaugan is None:
        return decoding_painter(load_model(Vae, vae))
    classes = mask_classes(pseudo_labels)
    return mask_painter(Painter.load(gaugan, classes), masks_of(pseudo_labels, ids, classes))


def draw_sliders(
    paint: LatentPainter,
    starts: Sequence[tuple[str, str, np.ndarray]],
    points: Mapping[str, np.ndarray],
    strength: float,
    picture: Path,
) -> None:
    """Writes a picture of portraits along each vector, as `slider_starts` gives them; `points` are latents by id."""
    strips = [list(traverse(paint, start, points[start], strength * vector, SLIDER)) for _, start, vector in starts]
    columns = [f"{position:g}" for position in SLIDER]
    save_picture(image_grid(strips, columns, [caption for caption, _, _ in starts], cell=96), picture)


def draw_interpolations(
    paint: LatentPainter,
    pairs: Sequence[tuple[str, str]],
    points: Mapping[str, np.ndarray],
    steps: int,
    picture: Path,
    animation: Path,
) -> None:
    """Writes a picture and an animation, three times as smooth, of interpolations between pairs of portraits."""

    def strips(count: int) -> list[list[np.ndarray]]:
        return [_paint_path(paint, a, interpolate(points[a], points[b], count)) for a, b in pairs]

    save_picture(image_grid(strips(steps), [f"{share:.0%}" for share in np.linspace(0, 1, steps)]), picture)
    save_animation(strips(3 * steps), animation, columns=3)


def draw_walks(
    paint: LatentPainter,
    ids: Sequence[str],
    points: Mapping[str, np.ndarray],
    seed: int,
    picture: Path,
    animation: Path,
) -> None:
    """Writes a picture of the stations of random walks, a walk from each portrait, and an animation of all steps."""
    walk = partial(random_walk, np.stack(list(points.values())), stations=STATIONS, between=STEPS_BETWEEN)
    strips = [_paint_path(paint, start, walk(start=points[start], seed=seed + i)) for i, start in enumerate(ids)]
    save_picture(image_grid([strip[::STEPS_BETWEEN] for strip in strips]), picture)
    save_animation(strips, animation)


def _paint_path(paint: LatentPainter, portrait_id: str, path: np.ndarray) -> list[np.ndarray]:
    return list(paint([portrait_id], path))


def interpolate(start: np.ndarray, end: np.ndarray, steps: int) -> np.ndarray:
    """Latents (steps, Z) on the straight line between two."""
    return start + np.linspace(0, 1, steps)[:, None] * (end - start)


def random_walk(latents: np.ndarray, start: np.ndarray, stations: int, between: int, seed: int) -> np.ndarray:
    """A path through the region of the latents: float (1 + stations * between, Z), the first the start.

    It follows great circles in the space in which the latents (N, Z) have mean 0 and the identity as covariance: each
    station is the one before, rotated by `STRIDE` toward a random direction, so that stations are distributed as the
    latents are. There are `between` steps to each station.
    """
    random = np.random.default_rng(seed)
    mean = latents.mean(0)
    values, axes = np.linalg.eigh(np.cov(latents, rowvar=False))
    scale = np.sqrt(values.clip(1e-9))
    station = (start - mean) @ axes / scale
    path = [station]
    for _ in range(stations):
        direction = random.normal(size=station.shape)
        path += [np.cos(a) * station + np.sin(a) * direction for a in np.linspace(0, STRIDE, between + 1)[1:]]
        station = path[-1]
    return np.array(path) * scale @ axes.T + mean
