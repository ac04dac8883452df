"""Portraits of a finished StyleGAN, outside the workflow."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import ceil, sqrt
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from facemill.data.png import chunks
from facemill.data.shards import encode_mask, read_rows
from facemill.data.walk import check_new_folder, check_out, files_in
from facemill.errors import UserError, first_line, first_names, list_faults
from facemill.files import atomic_write
from facemill.inference.sampler import Sampler
from facemill.inference.segmenter import Segmenter
from facemill.latent.attributes import GROUPS
from facemill.log import log, progress
from facemill.stylegan.asked import MOST_SEED, Asked, check_truncation, numbers, styles_of_seeds
from facemill.stylegan.recipes import RecipePainter, as_mask, save_grid

TRUNCATION = 0.7
PRODUCTS = ("generated", "generated_tags")
TAG_COLUMNS = ["id", "tags", *GROUPS]
GRID = "grid.png"
MOST_CELLS = 2500
"""Portraits of a grid."""
SAME = 0.01
"""Share by which styles may differ that another machine has computed; those of another model differ by all of it."""


def sample_portraits(
    *,
    model: Path,
    out: Path,
    seeds: list[str] | None = None,
    images: Path | None = None,
    truncation: float | None = None,
    condition: list[str] | None = None,
    center: str | None = None,
    grid: bool = False,
    masks: bool = False,
    unet: Path | None = None,
) -> None:
    """Paints portraits out of nothing, or again those of a folder: a PNG for each.

    A seed's portrait is the same, whatever others are painted with it. Each PNG holds its styles and what they were
    made of, so that the folder is one of `--images` for this command, for project_portraits and, file by file, for
    mix_portraits, which paint the same bytes again. Those that cannot be are listed at the end; the exit status is 1.

    Args:
        model: a trained StyleGAN: its folder, for example results/sample/stylegan.
        out: folder of the portraits, PNGs.
        seeds: numbers and ranges of seeds, such as 0-63 or 1,5,9.
        images: in place of seeds: folder of PNGs that one of these commands wrote with this model.
        truncation: 0 is the mean portrait, 1 leaves styles as they are; by default 0.7.
        condition: names that a model with conditions is asked for, such as hair_color=blue_hair; hair_color=none for
            none of a group. Groups that are not named are drawn in the shares of the training.
        center: a name around whose mean styles are truncated, in place of that of all portraits with the same names;
            for a model without conditions a color or tag of the generated portraits in the results around it.
        grid: whether grid.png shows all portraits.
        masks: whether the folder masks in `out` gets their masks, palette PNGs.
        unet: the U-Net of the masks, a safetensors file or its folder.
    """
    if (seeds is None) == (images is None):
        raise UserError(f"--seeds, --images: found {'both' if seeds else 'neither'}; accepted: one of them")
    if images and (truncation is not None or condition is not None or center):
        raise UserError("--truncation, --condition, --center: accepted with --seeds alone")
    check_new_folder("--out", out)
    segmenter = mask_segmenter(masks, unet)
    painter = RecipePainter.load(model)
    faults: list[tuple[Path, str]] = []
    if images:
        recipes = read_recipes(painter, images, recipe_files(images, out), faults)
        asked, count = iter(recipes), len(recipes)
        if grid and any(recipe.name == Path(GRID).stem for recipe in recipes):
            raise UserError(f"--grid: it would replace the portrait of {images / GRID}; accepted: one of another name")
    else:
        chosen = numbers("--seeds", seeds or [], MOST_SEED)
        asked, count = styles_of(painter, model, chosen, truncation, condition, center), len(chosen)
    if grid and count > MOST_CELLS:
        raise UserError(f"--grid: found {count} portraits; accepted: {MOST_CELLS} at most")
    painted = paint_all(painter, progress(asked, "sample_portraits", count, "portraits"), out)
    if segmenter:
        painted = with_masks(segmenter, painted, out / "masks")
    shown = [portrait for _, portrait in painted if grid]
    if shown:
        save_grid(mosaic(shown), out / GRID)
    log.info("%d portraits in %s", count, out)
    if faults:
        raise UserError("\n  ".join([f"{len(faults)} PNGs are not painted again:", *list_faults(faults)]))


def styles_of(
    painter: RecipePainter,
    model: Path,
    seeds: Sequence[int],
    truncation: float | None,
    condition: Sequence[str] | None,
    center: str | None,
) -> Iterator[Asked]:
    """The styles of seeds as the options of `sample_portraits` say. Raises `UserError` for those that do not fit."""
    if condition is not None and not condition:
        raise UserError("--condition: found nothing; accepted: names, such as hair_color=blue_hair")
    psi = check_truncation(TRUNCATION if truncation is None else truncation)
    mean = None
    if center and not painter.sampler.generator.conditions:
        mean = tagged_mean(painter.sampler, model, center)
    return styles_of_seeds(painter.sampler, seeds, psi, condition or [], center, mean)


def mask_segmenter(masks: bool, unet: Path | None) -> Segmenter | None:
    """The U-Net of the masks, if any are wanted. Raises `UserError` when one of the options is given alone."""
    if masks != (unet is not None):
        raise UserError(f"--masks, --unet: found {'--masks' if masks else '--unet'} alone; accepted: both")
    return Segmenter.load(unet) if unet else None


def tagged_mean(sampler: Sampler, model: Path, name: str) -> Tensor:
    """The mean style (w_dim,), not truncated, of the generated portraits with a color or tag that are accepted.

    They lie in the results around a model, and their styles are those of their seeds.

    Raises:
        UserError: There are no generated portraits with tags, none of them has it, or another model generated them.
    """
    results = (model if model.is_dir() else model.parent).absolute().parent
    generated, tags = (sorted((results / product).glob("shard-*.parquet")) for product in PRODUCTS)
    if missing := [product for product, shards in zip(PRODUCTS, (generated, tags), strict=True) if not shards]:
        raise UserError(
            f"--center {name}: found no {' or '.join(str(results / product) for product in missing)}; accepted: a "
            "model that was trained with stylegan.conditions, or results with these"
        )
    rows = [row for row in read_rows(generated, ["id", "seed", "w", "rejected"]) if row["rejected"] is None]
    names = {row["id"]: {*row["tags"], *(row[group] for group in GROUPS)} for row in read_rows(tags, TAG_COLUMNS)}
    chosen = [row for row in rows if name in names.get(row["id"], ())]
    if not chosen:
        known = sorted({each for row in rows for each in names.get(row["id"], ()) if each})
        raise UserError(f"--center {name}; accepted, of {results / PRODUCTS[0]}: {', '.join(known) or 'none has any'}")
    seeds = [row["seed"] for row in chosen]
    styles = sampler.styles(sampler.codes(seeds), sampler.slots(seeds)).cpu()
    if not are_truncated(torch.tensor([row["w"] for row in chosen]), styles, sampler.generator.w_mean.cpu()):
        raise UserError(
            f"--center {name}: another model generated the portraits in {results / PRODUCTS[0]}; accepted: those of "
            f"{model}, which snakemake makes anew"
        )
    return styles.mean(0)


def are_truncated(styles: Tensor, seeds: Tensor, center: Tensor) -> bool:
    """Whether styles (N, w_dim) are those of their seeds (N, w_dim), truncated around a center (w_dim,) by any psi."""
    if styles.shape != seeds.shape:
        return False
    near, far = styles - center, seeds - center
    psi = (near * far).sum() / far.square().sum()
    return bool((near - psi * far).norm() <= SAME * far.norm())


def recipe_files(images: Path, out: Path) -> list[tuple[str, Path]]:
    """The PNGs of a folder, each with its name within it, without suffix.

    Raises:
        UserError: One of them would be replaced.
    """
    files = [(file.name.rpartition(".")[0], Path(file.path)) for file in files_in("--images", images, (".png",), "PNG")]
    check_out("--images", images, out, [out / f"{name}.png" for name, _ in files], [path for _, path in files])
    return files


def read_recipes(
    painter: RecipePainter, images: Path, files: Sequence[tuple[str, Path]], faults: list[tuple[Path, str]]
) -> list[Asked]:
    """What files were painted from; those that do not tell are left out, which is said in the log.

    Args:
        painter: the generator.
        images: the folder.
        files: its PNGs, each with the name of the PNG to write.
        faults: gets the files that cannot be read, or whose portrait would replace another one, and why.

    Raises:
        UserError: None of them tells.
    """
    asked: dict[str, Asked] = {}
    without = []
    for name, path in files:
        try:
            recipe = painter.read(path)
            list(chunks(path.read_bytes()))
        except (OSError, ValueError) as error:
            faults.append((path, f"cannot be read ({first_line(error)})"))
            continue
        if recipe and name in asked:
            faults.append((path, f"its portrait would replace that of {Path(name).name}.png"))
        elif recipe:
            asked[name] = Asked(name, *recipe)
        else:
            without.append(str(path))
    if not asked:
        raise UserError(
            f"--images {images}: found {len(files)} PNGs, none with styles of this model; accepted: PNGs that a "
            "command painted with it; project_portraits finds styles for other images"
        )
    if without:
        log.info(
            "--images %s: left out: %d without styles of this model: %s", images, len(without), first_names(without)
        )
    return list(asked.values())


def paint_all(painter: RecipePainter, asked: Iterable[Asked], out: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Paints and writes PNGs; yields their names, without suffix, and the portraits, uint8 RGB (H, W, 3)."""
    for name, styles, made in asked:
        yield name, painter.save(out / f"{name}.png", styles, made)


def with_masks(
    segmenter: Segmenter, painted: Iterable[tuple[str, np.ndarray]], folder: Path
) -> Iterator[tuple[str, np.ndarray]]:
    """Writes the mask of each portrait into a folder, and yields the portrait."""
    with ThreadPoolExecutor(2) as pool:
        for (name, portrait), mask in segmenter.predict(painted, lambda item: Image.fromarray(item[1]), pool):
            assert not isinstance(mask, ValueError)  # which stands for an image that cannot be read
            with atomic_write(folder / f"{name}.png") as tmp:
                tmp.write_bytes(as_mask(encode_mask(mask, segmenter.classes)))
            yield name, portrait


def mosaic(portraits: Sequence[np.ndarray]) -> Image.Image:
    """Portraits, uint8 RGB (H, W, 3), edge to edge, in rows that make about a square; the rest is white."""
    height, width = portraits[0].shape[:2]
    columns = min(ceil(sqrt(len(portraits) * height / width)), len(portraits))
    rows = ceil(len(portraits) / columns)
    sheet = np.full((rows * columns, *portraits[0].shape), 255, np.uint8)
    sheet[: len(portraits)] = portraits
    tiles = sheet.reshape(rows, columns, height, width, 3).swapaxes(1, 2)
    return Image.fromarray(tiles.reshape(rows * height, columns * width, 3))
