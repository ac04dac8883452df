"""Styles of a finished StyleGAN for a folder of images, outside the workflow."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import yaml
from PIL import Image
from pydantic import ValidationError
from torch import Tensor

from facemill.config.ingest import PortraitsConfig
from facemill.data.batching import batched
from facemill.data.walk import IMAGE_SUFFIXES, File, check_out, files_in
from facemill.errors import UserError, first_line, first_names, list_faults
from facemill.inference.projector import BATCH, Projector
from facemill.ingest.crop_place import portrait_finder
from facemill.ingest.portraits import MIDDLE, Box, Centering, Finder, Unreadable, load_portrait, upright_size
from facemill.log import log, progress
from facemill.networks.device import device
from facemill.networks.vgg import Lpips
from facemill.stylegan.recipes import Recipe, RecipePainter, save_grid, sheet_of
from facemill.stylegan.sample_portraits import GRID, MOST_CELLS, mosaic
from facemill.stylegan.seen import differences

MOST_STEPS = 10_000

Pair = tuple[np.ndarray, np.ndarray]
"""The portrait in an image, and the one painted for it, uint8 RGB (H, W, 3)."""


def project_portraits(
    *,
    model: Path,
    images: Path,
    out: Path,
    space: Literal["w", "w+"] = "w",
    steps: int = 300,
    vgg_weights: Path | None = None,
    grid: bool = False,
) -> None:
    """Finds styles for every image of a folder and its subfolders, and paints them: a PNG of the image's name.

    Each PNG holds its styles, as those of sample_portraits do; PNGs that a command painted with this model are painted
    again as they were. Images that cannot be read are listed at the end; the exit status is then 1.

    Args:
        model: a trained StyleGAN: its folder, for example results/sample/stylegan.
        images: folder of images; those that are no portraits yet are cropped as the model's collection was, where its
            results lie around the model, or else in the middle.
        out: folder of the portraits, apart from the images: neither their folder nor in it.
        space: w: one style for all layers, as portraits of seeds have. w+: a style for each layer, which is nearer to
            the image and less fit for changes.
        steps: of the search; more are nearer.
        vgg_weights: safetensors file of LPIPS, which is then minimized too.
        grid: whether grid.png shows each image above its portrait.
    """
    if not 1 <= steps <= MOST_STEPS:
        raise UserError(f"--steps {steps}; accepted: 1 to {MOST_STEPS}")
    files = image_files(images)
    names = {Path(file.path): Path(file.name).with_suffix(".png") for file in files}
    check_out("--images", images, out, [out / name for name in names.values()], names)
    if grid and len(files) > MOST_CELLS // 2:
        raise UserError(f"--grid: found {len(files)} images; accepted: {MOST_CELLS // 2} at most")
    painter = RecipePainter.load(model)
    lpips = load_lpips(vgg_weights) if vgg_weights else None
    faults: list[tuple[Path, str]] = []
    pairs: dict[Path, Pair] | None = {} if grid else None
    far: list[float] = []
    found = projected(painter, readable(painter, model, names, out, faults, pairs), space, steps, lpips)
    for path, portrait, styles in progress(found, "project_portraits", len(files)):
        difference = float(differences(painter.paint(styles)[None], portrait[None])[0])
        made = {"image": names[path].name, "space": space, "steps": steps, "difference": round(difference, 4)}
        painted = painter.save(out / names[path], styles, made)
        far.append(difference)
        if pairs is not None:
            pairs[path] = portrait, painted
    if pairs:
        save_grid(mosaic([np.concatenate(pairs[path]) for path in names if path in pairs]), out / GRID)
    if far:
        log.info("mean difference of pixels in [-1, 1]: %.3f, over %d images", np.mean(far), len(far))
    log.info("%d portraits in %s", len(files) - len(faults), out)
    if faults:
        raise UserError("\n  ".join([f"{len(faults)} of {len(files)} images have no styles:", *list_faults(faults)]))


def load_lpips(weights: Path) -> Lpips:
    """LPIPS of a file of weights. Raises `UserError` when there is none, or it holds others."""
    if not weights.is_file():
        raise UserError(f"--vgg-weights {weights}: no such file; accepted: a safetensors file of LPIPS")
    try:
        return Lpips(weights).to(device())
    except UserError as error:
        raise UserError(str(error).replace("gaugan.vgg_weights", "--vgg-weights")) from error


def projected(
    painter: RecipePainter,
    portraits: Iterable[tuple[Path, np.ndarray]],
    space: Literal["w", "w+"],
    steps: int,
    lpips: Lpips | None,
) -> Iterator[tuple[Path, np.ndarray, Tensor]]:
    """Yields images' paths, the portraits in them, and the styles that are found for these; options as the command."""
    projector = None
    for batch in batched(portraits, BATCH):
        if projector is None:
            projector = Projector(painter.sampler, space, steps, lpips)
        styles = projector.project(np.stack([portrait for _, portrait in batch]))
        yield from ((path, portrait, w) for (path, portrait), w in zip(batch, styles, strict=True))


def image_files(images: Path) -> list[File]:
    """The images of a folder, less the grids and masks that lie beside painted portraits.

    Raises:
        UserError: There is none.
    """
    files = files_in("--images", images, IMAGE_SUFFIXES, "image")
    sheets = {file.path: sheet_of(Path(file.path)) for file in files}
    if counts := Counter(sheet for sheet in sheets.values() if sheet):
        counted = ", ".join(f"{count} {what}{'s' * (count > 1)}" for what, count in counts.items())
        log.info("--images %s: left out: %s, which lie beside painted portraits", images, counted)
    if kept := [file for file in files if not sheets[file.path]]:
        return kept
    raise UserError(f"--images {images}: found grids and masks alone; accepted: images")


def readable(
    painter: RecipePainter,
    model: Path,
    names: dict[Path, Path],
    out: Path,
    faults: list[tuple[Path, str]],
    pairs: dict[Path, Pair] | None,
) -> Iterator[tuple[Path, np.ndarray]]:
    """Yields the portraits in images, uint8 RGB (H, W, 3); paints those again that hold their styles.

    Args:
        painter: the generator.
        model: its file or folder.
        names: names of the PNGs to write, by the images' paths.
        out: the folder of these.
        faults: gets the images of which there is no portrait, and why.
        pairs: gets those that are painted again, twice, if there is a grid.
    """
    generator = painter.sampler.generator
    find = collection_finder(model, generator.height / generator.width)
    first = {name: path for path, name in reversed(names.items())}
    small: list[str] = []
    foreign: list[str] = []
    for path, name in names.items():
        try:
            if first[name] != path:
                raise Unreadable(f"its portrait would replace that of {first[name].name}")
            if pairs is not None and name == Path(GRID):
                raise Unreadable("the grid would replace its portrait")
            if recipe := painter.read(path):
                painted = painter.save(out / name, *recipe)
                if pairs is not None:
                    pairs[path] = painted, painted
                continue
            portrait = load_portrait(path, generator.width, generator.height // generator.width, find)
            width, height = upright_size(path.read_bytes())
            if width < generator.width or height < generator.height:
                small.append(path.name)
            if (other := Recipe.read(path)) and other.model != painter.model:
                foreign.append(path.name)
            yield path, portrait
        except (Unreadable, OSError) as error:
            faults.append((path, str(error)))
    if small:
        log.info("enlarged to %d x %d pixels: %s", generator.width, generator.height, first_names(small))
    if foreign:
        log.info("painted by another model, and so searched like other images: %s", first_names(foreign))


def collection_finder(model: Path, ratio: float) -> Finder | None:
    """Finds the portrait in an image as the settings in the results around a model say; None without any.

    The finder raises `UserError` where portraits lie at faces, and the detector is not there.

    Raises:
        UserError: The settings cannot be read.
    """
    folder = model if model.is_dir() else model.parent
    config = folder.absolute().parent / "config.yaml"
    if not config.exists():
        return None
    try:
        settings = PortraitsConfig.model_validate(yaml.safe_load(config.read_text())["portraits"])
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(map(str, ("portraits", *fault["loc"])))
        raise UserError(
            f"{config}: {key}: found {fault['input']!r} ({fault['msg']}); accepted: those of a run"
        ) from error
    except (KeyError, TypeError) as error:
        raise UserError(f"{config}: found no section portraits; accepted: settings of a run") from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{config}: {first_line(error)}; accepted: settings of a run") from error

    def find(picture: Image.Image) -> tuple[Box | None, Centering]:
        if picture.size == (settings.width, settings.size):
            return None, MIDDLE
        return portrait_finder(settings.crop, ratio, settings.detector)(picture)

    return find
