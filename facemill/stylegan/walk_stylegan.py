"""Paths through W: straight lines between portraits, and walks of portraits along the attribute vectors."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from facemill.imaging.figures import save_animation
from facemill.inference.editor import LatentPainter, style_painter
from facemill.inference.sampler import Sampler
from facemill.inference.vectors import Vectors
from facemill.latent.walk_latents import INTERPOLATIONS, draw_interpolations, interpolate
from facemill.stylegan.evaluate_stylegan_vectors import held_out_rows

WALKS = 8
"""Portraits that walk."""
STEPS_BETWEEN = 4
"""Steps from one station to the next."""


def walk_stylegan(
    *,
    model: Path,
    vectors: Path,
    generated: list[Path],
    tags: list[Path],
    truncation: float,
    strength: float,
    steps: int,
    holdout: float,
    seed: int,
    interpolations: Path,
    interpolations_animation: Path,
    walks_animation: Path,
) -> None:
    """Paints the straight lines in W from seed 0 to 1, 2 to 3 and so on, and portraits that walk along the vectors.

    Args:
        model: the generator.
        vectors: the attribute vectors in W.
        generated: shards of generated portraits.
        tags: shards of their tags.
        truncation: of the seeds' styles.
        strength: factor of each vector.
        steps: pictures in an interpolation.
        holdout: share of the portraits that are held out.
        seed: of the order of the portraits that walk.
        interpolations: the picture of straight lines to write.
        interpolations_animation: the animation of straight lines to write.
        walks_animation: the animation to write, of held-out portraits that are edited to one target after the other.
    """
    sampler = Sampler.load(model)
    paint = style_painter(sampler)
    styles = sampler.truncated(range(2 * INTERPOLATIONS), truncation).cpu().numpy()
    points = {str(number): style for number, style in enumerate(styles)}
    pairs = [(str(number), str(number + 1)) for number in range(0, len(points), 2)]
    draw_interpolations(paint, pairs, points, steps, interpolations, interpolations_animation)
    rows = held_out_rows(generated, tags, holdout, seed)[:WALKS] or [{"latent": styles[0], "tags": []}]
    draw_walks(paint, rows, Vectors.load(vectors), strength, walks_animation)


def steps_to_targets(row: Mapping[str, Any], vectors: Vectors) -> list[np.ndarray]:
    """The vector to each of the vectors' targets from where a portrait is; 0 where it has the target or no name.

    Args:
        row: of the portrait's tags.
        vectors: the attribute vectors.
    """
    steps = []
    for group, names in vectors.groups.items():
        own, stay = row.get(group), 0 * vectors.step(*names[:2])
        steps += [vectors.step(own, name) if own in names and own != name else stay for name in names]
    return steps + [vectors.step(name in row["tags"], name) for name in vectors.booleans]


def draw_walks(
    paint: LatentPainter, rows: Sequence[Mapping[str, Any]], vectors: Vectors, strength: float, animation: Path
) -> None:
    """Writes an animation of portraits, each edited to one target after the other.

    Args:
        paint: paints styles.
        rows: of the portraits' tags, with `latent`.
        vectors: the attribute vectors.
        strength: factor of each vector.
        animation: the WebP to write; the target that is nearest stands above.
    """
    strips = []
    for row in rows:
        start = np.asarray(row["latent"])
        path = walk([start, *(start + strength * step for step in steps_to_targets(row, vectors))])
        strips.append(list(paint([""] * len(path), path)))
    stations = ["", *(name.replace("_", " ") for name in vectors.names())]
    titles = [stations[round(frame / STEPS_BETWEEN)] for frame in range(len(strips[0]))]
    save_animation(strips, animation, cell=96, titles=titles)


def walk(points: Sequence[np.ndarray]) -> np.ndarray:
    """Styles ((stations - 1) * steps + 1, w_dim) on the straight lines from one station to the next."""
    legs = [interpolate(a, b, STEPS_BETWEEN + 1)[:-1] for a, b in pairwise(points)]
    return np.concatenate([*legs, points[-1:]])
