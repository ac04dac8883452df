"""Pictures of translations: the first portraits as they come, and those with the best and the worst scores."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from facemill.imaging.figures import image_grid, plot
from facemill.translate.measures import Translated, Way

COLUMNS = 12
CELL = 96


def rows_of(name: str, way: Way, translated: Translated, indices: Sequence[int]) -> dict[str, list[np.ndarray]]:
    """By caption the portraits of these indices: as they are, translated, translated back, and the true answers."""
    here, there = name.split("2")
    rows = {here: way.source.images, f"to {there}": translated.images}
    if translated.cycle is not None:
        rows[f"back to {here}"] = translated.cycle
    truth = way.truth()
    if truth is not None:
        rows[f"true {there}"] = truth.images
    return {caption: [images[i] for i in indices] for caption, images in rows.items()}


def sheet(parts: Sequence[dict[str, list[np.ndarray]]], columns: Sequence[str] = ()) -> Image.Image:
    """Rows of portraits with their captions, one part below the other; `columns` stand above."""
    rows = [row for part in parts for row in part.items()]
    return image_grid([images for _, images in rows], columns, [caption for caption, _ in rows], cell=CELL)


def first_portraits(ways: dict[str, tuple[Way, Translated]]) -> Image.Image:
    """The first `COLUMNS` portraits of each direction."""
    first = {name: range(min(COLUMNS, len(way.source))) for name, (way, _) in ways.items()}
    return sheet([rows_of(name, *of_way, first[name]) for name, of_way in ways.items()])


def extremes(ways: dict[str, tuple[Way, Translated]]) -> Image.Image:
    """Of each direction the portraits with the best scores, and those with the worst, which come last."""
    half = min(COLUMNS // 2, *(len(way.source) // 2 for way, _ in ways.values()))
    parts = []
    for name, (way, translated) in ways.items():
        order = np.argsort(-translated.scores, kind="stable").tolist()
        parts.append(rows_of(name, way, translated, order[:half] + order[len(order) - half :]))
    return sheet(parts, ["best"] * half + ["worst"] * half)


def plot_points(
    path: Path, images: Sequence[int], lines: dict[str, dict[str, list[float | None]]], chosen: int
) -> None:
    """Plots what was measured at the points of a training, with the chosen one marked.

    Args:
        path: the PNG.
        images: that the training had seen at each point.
        lines: by figure, which has axes of its own, by direction its values.
        chosen: the index of the chosen point.
    """
    with plot(path, width=5 * len(lines), height=4, ncols=len(lines), squeeze=False) as (_, axes):
        for place, (name, ways) in zip(axes[0], lines.items(), strict=True):
            for way, values in ways.items():
                known = [(x, y) for x, y in zip(images, values, strict=True) if y is not None]
                place.plot(*zip(*known, strict=True), marker="o", label=way)
            place.axvline(images[chosen], color="0.7", zorder=0)
            place.set(title=name, xlabel="images")
            place.legend(frameon=False)
