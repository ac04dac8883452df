"""A grid of mixed portraits of a finished StyleGAN, outside the workflow."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from facemill.data.walk import check_new_folder, check_replaced
from facemill.errors import UserError
from facemill.imaging.figures import image_grid
from facemill.log import log
from facemill.stylegan.asked import MOST_SEED, Asked, check_truncation, mix, numbers, styles_of_seeds
from facemill.stylegan.recipes import RecipePainter, save_grid
from facemill.stylegan.sample_portraits import TRUNCATION

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
    truncation: float | None = None,
    condition: list[str] | None = None,
) -> None:
    """Mixes styles: a grid of each row's portrait, with the layers of each column's in place of its own.

    What the layers of a model carry, its mixing.json and mixing.png tell.

    Args:
        model: a trained StyleGAN: its folder, for example results/sample/stylegan.
        rows: seeds, such as 1,5,9 or 0-3, and PNGs that a command painted with this model.
        columns: the same.
        layers: of the columns: numbers and ranges, such as 0-3; 0 is the lowest.
        out: the grid, a PNG.
        portraits: folder for each mixed portrait by itself, PNGs that hold their styles.
        truncation: of the seeds' styles: 0 is the mean portrait, 1 leaves them as they are; by default 0.7.
        condition: names that the seeds of a model with conditions are asked for, such as hair_color=blue_hair.
    """
    if out.suffix.lower() != ".png":
        raise UserError(f"--out {out}; accepted: a name that ends in .png")
    painter = RecipePainter.load(model)
    count = painter.sampler.generator.layers
    taken = numbers("--layers", layers, count - 1)
    if (truncation is not None or condition is not None) and len(pngs(rows + columns)) == len(rows + columns):
        raise UserError("--truncation, --condition: accepted with seeds alone, which neither --rows nor --columns has")
    if condition == []:
        raise UserError("--condition: found nothing; accepted: names, such as hair_color=blue_hair")
    psi = check_truncation(TRUNCATION if truncation is None else truncation)
    below, beside = (
        list(sources(painter, option, words, psi, condition or []))
        for option, words in (("--rows", rows), ("--columns", columns))
    )
    names = [f"{row.name}-{column.name}.png" for row in below for column in beside] if portraits else []
    check_files(out, portraits, names, pngs(rows + columns))
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
    save_grid(
        image_grid(cells, cell=painter.sampler.generator.height * max(CELL // painter.sampler.generator.height, 1)), out
    )
    log.info("%d x %d portraits in %s", len(below), len(beside), out)


def pngs(words: Sequence[str]) -> list[Path]:
    """The PNGs among the words for portraits, which else are seeds."""
    return [Path(word).expanduser() for word in words if word.lower().endswith(".png")]


def check_files(out: Path, portraits: Path | None, names: Sequence[str], inputs: Sequence[Path]) -> None:
    """Raises `UserError` when a file that is written would replace one that is read, or another that is written.

    Args:
        out: the grid.
        portraits: folder of the mixed portraits.
        names: of the files in it.
        inputs: the PNGs that are read.
    """
    check_replaced("--out", out, [out], inputs)
    check_new_folder("--out", out.parent)
    if out.is_dir():
        raise UserError(f"--out {out}: a folder; accepted: a PNG to write")
    if portraits is None:
        return
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise UserError(
            f"--portraits {portraits}: {twice[0]} would be written more than once; accepted: rows of different names, "
            "and columns of different names (seed-000001 for seed 1, and a PNG's without its folder)"
        )
    check_new_folder("--portraits", portraits)
    paths = [portraits / name for name in names]
    check_replaced("--portraits", portraits, paths, inputs)
    if out.resolve() in {path.resolve() for path in paths}:
        raise UserError(f"--out {out}: one of the mixed portraits; accepted: another name")


def sources(
    painter: RecipePainter, option: str, words: Sequence[str], truncation: float, condition: Sequence[str]
) -> Iterator[Asked]:
    """Yields the styles of seeds and of PNGs that hold them, in their order.

    Raises:
        UserError: Neither seeds nor such a PNG, none at all, or more than `MOST`.
    """
    if not words:
        raise UserError(f"{option}: found nothing; accepted: seeds, such as 1,5,9 or 0-3, and PNGs")
    seeds = [word for word in words if not pngs([word])]
    if strange := [word for word in seeds if not re.fullmatch(r"[\d,\s-]*", word, re.ASCII)]:
        raise UserError(
            f"{option}: found {strange[0]}; accepted: seeds, such as 1,5,9 or 0-3, and PNGs that a command painted "
            "with this model; project_portraits finds styles for other images"
        )
    chosen = numbers(option, seeds, MOST_SEED) if seeds else []
    count = len(chosen) + len(words) - len(seeds)
    if count > MOST:
        raise UserError(f"{option}: found {count} portraits; accepted: {MOST} at most")
    asked = styles_of_seeds(painter.sampler, chosen, truncation, condition, None) if chosen else ()
    of_seeds = dict(zip(chosen, asked, strict=True))
    for word in words:
        if paths := pngs([word]):
            yield read_png(painter, option, paths[0])
        else:
            yield from (of_seeds.pop(seed) for seed in numbers(option, [word], MOST_SEED) if seed in of_seeds)


def read_png(painter: RecipePainter, option: str, path: Path) -> Asked:
    """The styles that a PNG holds. Raises `UserError` for a file that is not there, or holds none of this model."""
    try:
        recipe = painter.read(path)
    except OSError as error:
        raise UserError(f"{option} {path}: {error.strerror}; accepted: seeds, and PNGs") from error
    if recipe is None:
        raise UserError(
            f"{option} {path}: holds no styles of this model; accepted: seeds, and PNGs that a command painted "
            "with it; project_portraits finds styles for other images"
        )
    return Asked(path.stem, *recipe)
