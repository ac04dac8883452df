"""Generation of portraits from a folder of masks by a trained GauGAN, outside the workflow."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from facemill.config.ingest import Cropping
from facemill.data.classes import IGNORE, ClassTable
from facemill.data.mask_files import is_binary, shows_other_colors
from facemill.data.mask_files import read_mask as read_mask_file
from facemill.data.shards import decode_mask
from facemill.data.walk import check_out, files_in
from facemill.errors import UserError, first_names, list_faults
from facemill.files import atomic_write
from facemill.inference.painter import Painter
from facemill.ingest.crop_place import portrait_finder
from facemill.ingest.portraits import Box, Centering, Finder, Unreadable, load_portrait
from facemill.log import log, progress
from facemill.networks.store import model_settings


def generate_portraits(
    *,
    model: Path,
    masks: Path,
    out: Path,
    style: Path | None = None,
    style_of: list[str] | None = None,
    seed: int | None = None,
) -> None:
    """Generates a portrait from every mask (`.png`) of a folder and its subfolders, at the model's size.

    Args:
        model: a trained GauGAN: its folder, for example results/sample/gaugan.
        masks: folder of PNGs of class ids, one channel of 8 bits, such as predict_masks writes, or of exactly the
            classes' colors, as editors save them; any size.
        out: folder of the portraits, PNGs of the masks' names: neither the folder of masks nor in it.
        style: an image whose style all portraits have, cropped as the model's collection was.
        style_of: classes whose style comes from other images, such as hair=OTHER.png, of a model with z: regions.
        seed: seed of random styles, one for each portrait, distributed as those of the training; 0 where neither
            `style` nor `seed` is given.
    """
    if style and seed is not None:
        raise UserError("--style and --seed exclude each other; accepted: one of them")
    folder = model if model.is_dir() else model.parent
    painter = load_painter(folder, reads=style is not None, by_region=bool(style_of))
    others = images_of_classes(style_of or [], painter.classes)
    files = files_in("--masks", masks, (".png",), "mask")
    paths = {Path(file.path): (out / file.name).with_suffix(".png") for file in files}
    check_out("--masks", masks, out, paths.values(), [*paths, *([style] if style else []), *others.values()])
    first = {portrait: path for path, portrait in reversed(paths.items())}
    count, find = len(paths), style_finder(folder, painter)
    styles = read_style(style, painter, find).repeat(count, 1) if style else painter.random_styles(count, seed or 0)
    for name, path in others.items():
        numbers = painter.numbers_of(name)
        code = read_style(path, painter, find, f"--style-of: {name}")[:, numbers]
        styles = styles.index_copy(1, numbers, code.expand(count, -1))
    faults, other_colors = [], []
    masks_shown = progress(paths.items(), "generate_portraits", count, "masks")
    for (path, portrait), z in zip(masks_shown, styles.split(1), strict=True):
        try:
            if first[portrait] != path:
                raise UserError(f"its portrait would replace that of {first[portrait].name}")
            mask = read_mask(path, painter)
            if shows_other_colors(read_mask_file(path, painter.classes), painter.classes):
                other_colors.append(path.name)
        except (UserError, OSError) as error:
            faults.append((path, str(error)))
            continue
        with atomic_write(portrait) as tmp:
            Image.fromarray(painter.generate(mask, z)[0]).save(tmp)
    if other_colors:
        log.warning(
            "%d of %d masks show none of the classes' colors, and are painted by index: %s",
            *(len(other_colors), count, first_names(other_colors)),
        )
    if faults:
        unused = f"{len(faults)} of {count} masks cannot be used; the others are painted in {out}:"
        raise UserError("\n  ".join([unused, *list_faults(faults)]))


def load_painter(folder: Path, *, reads: bool, by_region: bool) -> Painter:
    """The painter of a folder, with the network that reads styles where it is wanted.

    Args:
        folder: GauGAN's.
        reads: whether a style is to be read from an image.
        by_region: whether styles of single classes are.

    Raises:
        UserError: The model reads no such styles.
    """
    encoder = folder / "style_encoder.safetensors" if reads or by_region else None
    painter = Painter.load(folder, style_encoder=encoder)
    if by_region and painter.generator.z != "regions":
        raise UserError(f"--style-of: {folder} was trained with z: {painter.generator.z}; accepted: z: regions")
    if reads and not painter.reads_styles:
        raise UserError(
            f"--style: {folder} was trained with z: {painter.generator.z}; accepted: z: regions, or z: encoder"
        )
    return painter


def images_of_classes(pairs: Sequence[str], classes: ClassTable) -> dict[str, Path]:
    """The images of `CLASS=IMAGE`, by class. Raises `UserError` where one is no such pair, or the class is unknown."""
    images = {}
    for pair in pairs:
        name, _, path = pair.partition("=")
        if name not in classes.names or not path:
            raise UserError(f"--style-of: found {pair!r}; accepted: CLASS=IMAGE, of {', '.join(classes.names)}")
        images[name] = Path(path)
    return images


def style_finder(model: Path, painter: Painter) -> Finder:
    """Finds what a portrait of the model's collection would be in an image: in the middle for models that do not say.

    It raises `UserError` where portraits lie at faces, and the detector is not there.
    """
    cropping, generator = Cropping.model_validate(model_settings(model)), painter.generator
    ratio = generator.height / generator.width

    def find(picture: Image.Image) -> tuple[Box | None, Centering]:
        """Where the collection's crop lies in the style's picture."""
        try:
            return portrait_finder(cropping.crop, ratio, cropping.detector)(picture)
        except UserError as error:
            size = f"{generator.width} x {generator.height}"
            raise UserError(f"--style: {error}, or an image of {size} pixels, cropped as the collection was") from error

    return find


def read_style(path: Path, painter: Painter, find: Finder | None = None, option: str = "--style") -> Tensor:
    """The style code (1, z_dim) of an image, cropped as a portrait of the generator's collection would be.

    Args:
        path: the image; one of the generator's size is a portrait as it is.
        painter: a painter that reads styles.
        find: finds the portrait in images of another size; by default it is the largest box, in the center.
        option: the option that names the image, for errors.
    """
    generator = painter.generator
    try:
        pixels = load_portrait(path, generator.width, generator.height // generator.width, find)
    except Unreadable as error:
        raise UserError(f"{option}: {path}: {error}") from error
    return painter.encode_styles(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None])


def read_mask(path: Path, painter: Painter) -> Tensor:
    """A mask file at the generator's size: class ids, uint8 (1, H, W). Raises `UserError` when its table is another."""
    mask = decode_mask(path.read_bytes(), painter.classes)
    if is_binary(mask):
        raise UserError(f"only 0 and {IGNORE} in it; accepted: class ids, 0 to {len(painter.classes) - 1}")
    size = (painter.generator.width, painter.generator.height)
    resized: np.ndarray = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST_EXACT)
    return torch.from_numpy(resized)[None]
