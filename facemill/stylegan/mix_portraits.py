"""A grid of mixed portraits of a finished StyleGAN, outside the workflow."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from facemill.errors import UserError
from facemill.imaging.figures import image_grid, save_picture
from facemill.log import log
from facemill.stylegan.asked import MOST_SEED, Asked, check_truncation, mix, numbers, styles_of_seeds
from facemill.stylegan.recipes import RecipePainter

MOST = 64
"""Rows, and columns, of a grid."""
CELL = 128
"""Least height of a cell in pixels, unless no multiple of the portraits' is less."""


def mix_portraits(
    *,
    model: Path,
    rows: list[str],
    columns: list[str],
    layers: list[str],
    out: Path,
    portraits: Path | None = None,
    truncation: float = 0.7,
    condition: list[str] | None = None,
) -> None:
    """Mixes styles: a grid of each row's portrait, with the layers of each column's in place of its own.

    The first layers carry pose and shapes, the last ones colors; evaluate_mixing tells what, in numbers.

    Args:
        model: a trained StyleGAN: its folder, for example results/sample/stylegan.
        rows: seeds, such as 1,5,9 or 0-3, and PNGs that a command painted with this model.
        columns: the same.
        layers: of the columns: numbers and ranges, such as 0-3; 0 is the lowest.
        out: the grid, a PNG.
        portraits: folder for each mixed portrait by itself, PNGs that hold their styles.
        truncation: of the seeds' styles: 0 is the mean portrait, 1 leaves them as they are.
        condition: names that a model with conditions is asked for, such as hair_color=blue_hair.
    """
    if out.suffix.lower() != ".png":
        raise UserError(f"--out {out}; accepted: a name that ends in .png")
    painter = RecipePainter.load(model)
    count = painter.sampler.generator.layers
    taken = numbers("--layers", layers, count - 1)
    check_truncation(truncation)
    below, beside = (
        list(sources(painter, option, words, truncation, condition or []))
        for option, words in (("--rows", rows), ("--columns", columns))
    )
    cells: list[list[np.ndarray | None]] = [[None, *(painter.paint(column.styles) for column in beside)]]
    for row in below:
        line: list[np.ndarray | None] = [painter.paint(row.styles)]
        for column in beside:
            styles = mix(row.styles, column.styles, taken, count)
            if portraits:
                made = {"row": row.made, "column": column.made, "layers": taken}
                line.append(painter.save(portraits / f"{row.name}-{column.name}.png", styles, made))
            else:
                line.append(painter.paint(styles))
        cells.append(line)
    save_picture(
        image_grid(cells, cell=painter.sampler.generator.height * max(CELL // painter.sampler.generator.height, 1)), out
    )
    log.info("%d x %d portraits in %s", len(below), len(beside), out)


def sources(
    painter: RecipePainter, option: str, words: Sequence[str], truncation: float, condition: Sequence[str]
) -> Iterator[Asked]:
    """Yields the styles of seeds and of PNGs that hold them.

    Raises:
        UserError: Neither seeds nor such a PNG, or more than `MOST`.
    """
    paths = [Path(word).expanduser() for word in words if word.lower().endswith(".png")]
    seeds = [word for word in words if not word.lower().endswith(".png")]
    chosen = numbers(option, seeds, MOST_SEED) if seeds else []
    if len(chosen) + len(paths) > MOST:
        raise UserError(f"{option}: found {len(chosen) + len(paths)} portraits; accepted: {MOST} at most")
    yield from styles_of_seeds(painter.sampler, chosen, truncation, condition, None) if chosen else ()
    for path in paths:
        try:
            recipe = painter.read(path)
        except OSError as error:
            raise UserError(f"{option} {path}: {error.strerror}; accepted: seeds, and PNGs") from error
        if recipe is None:
            raise UserError(
                f"{option} {path}: holds no styles of this model; accepted: seeds, and PNGs that a command painted "
                "with it; project_portraits finds styles for other images"
            )
        yield Asked(path.stem, *recipe)
