"""Pictures of translations: the first portraits as they come, and those with the best and the worst scores."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from facemill.imaging.figures import image_grid
from facemill.translate.measures import Translated, Way

COLUMNS = 12
CELL = 96


def rows_of(name: str, way: Way, translated: Translated, indices: Sequence[int]) -> dict[str, list[np.ndarray]]:
    """By caption the portraits of these indices: as they are, translated, translated back, and the true answers."""
    there, back = name.split("2")[1], name.split("2")[0]
    rows = {name.split("2")[0]: way.source.images, f"to {there}": translated.images}
    if translated.cycle is not None:
        rows[f"back to {back}"] = translated.cycle
    truth = way.truth()
    if truth is not None:
        rows[f"true {there}"] = truth.images
    return {caption: [images[i] for i in indices] for caption, images in rows.items()}


def sheet(parts: Sequence[dict[str, list[np.ndarray]]]) -> Image.Image:
    """Rows of portraits with their captions, one part below the other."""
    grid: list[list[np.ndarray | None]] = []
    captions: list[str] = []
    for part in parts:
        grid += [[]] if grid else []
        captions += [""] if captions else []
        grid += [list(images) for images in part.values()]
        captions += list(part)
    return image_grid(grid, captions=captions, cell=CELL)


def first_portraits(ways: dict[str, tuple[Way, Translated]]) -> Image.Image:
    """The first `COLUMNS` portraits of each direction."""
    return sheet(
        [
            rows_of(name, way, translated, range(min(COLUMNS, len(way.source))))
            for name, (way, translated) in ways.items()
        ]
    )


def extremes(ways: dict[str, tuple[Way, Translated]]) -> Image.Image:
    """Of each direction the portraits with the best scores, and those with the worst, which come last."""
    parts = []
    for name, (way, translated) in ways.items():
        order = np.argsort(-translated.scores, kind="stable").tolist()
        half = min(COLUMNS // 2, len(order) // 2)
        for kind, chosen in (("best", order[:half]), ("worst", order[len(order) - half :])):
            rows = rows_of(name, way, translated, chosen)
            parts.append(
                {(f"{kind}: {caption}" if not i else caption): x for i, (caption, x) in enumerate(rows.items())}
            )
    return sheet(parts)
