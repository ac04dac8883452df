"""Generation of portraits from a folder of masks, or from random ones, by a trained GauGAN, outside the workflow."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from facemill.config.ingest import Cropping
from facemill.data.batching import batched
from facemill.data.classes import IGNORE, ClassTable
from facemill.data.mask_files import is_binary, shows_other_colors
from facemill.data.mask_files import read_mask as read_mask_file
from facemill.data.shards import decode_mask, encode_mask
from facemill.data.walk import check_new_folder, check_out, check_replaced, files_in
from facemill.errors import UserError, first_names, list_faults
from facemill.files import atomic_write
from facemill.inference.mask_sampler import TRUNCATION, MaskSampler
from facemill.inference.painter import Painter
from facemill.inference.sampler import BATCH
from facemill.ingest.crop_place import portrait_finder
from facemill.ingest.portraits import Box, Centering, Finder, Unreadable, load_portrait
from facemill.log import log, progress
from facemill.networks.store import model_settings

MOST_RANDOM = 100_000
"""Random masks of one command."""
MOST_SEED = 2**32 - 1 - MOST_RANDOM
"""The largest seed of random masks; PyTorch's generator on the CPU reads 32 bits."""


def generate_portraits(
    *,
    model: Path,
    out: Path,
    masks: Path | None = None,
    random: int | None = None,
    mask_generator: Path | None = None,
    truncation: float | None = None,
    style: Path | None = None,
    style_of: list[str] | None = None,
    seed: int | None = None,
) -> None:
    """Generates a portrait from every mask (`.png`) of a folder and its subfolders, or from random masks.

    Args:
        model: a trained GauGAN: its folder, for example results/sample/gaugan.
        out: folder of the portraits, PNGs of the masks' names: neither the folder of masks nor in it.
        masks: folder of PNGs of class ids, one channel of 8 bits, such as predict_masks writes, or of exactly the
            classes' colors, as editors save them; any size.
        random: in place of masks: a number of masks that a generator draws, written to masks/ in the folder `out`.
        mask_generator: the generator's folder; by default mask_generator beside GauGAN's.
        truncation: of random masks: 0 is the mean mask, 1 lets them vary most; by default 0.7.
        style: an image whose style all portraits have, cropped as the model's collection was.
        style_of: classes whose style comes from other images, such as hair=OTHER.png, of a model with z: regions.
        seed: seed of random styles, one for each portrait, distributed as those of the training, and of the first of
            the random masks; 0 by default.
    """
    check_asked(masks, random, mask_generator, truncation, style, seed)
    folder = model if model.is_dir() else model.parent
    painter = load_painter(folder, reads=style is not None, by_region=bool(style_of))
    others = images_of_classes(style_of or [], painter.classes)
    read = [*([style] if style else []), *others.values()]
    if masks:
        files = files_in("--masks", masks, (".png",), "mask")
        paths = {Path(file.path): (out / file.name).with_suffix(".png") for file in files}
        check_out("--masks", masks, out, paths.values(), [*paths, *read])
    else:
        seeds = range(seed or 0, (seed or 0) + (random or 0))
        paths = {out / "masks" / f"seed-{number:06}.png": out / f"seed-{number:06}.png" for number in seeds}
        check_replaced("--out", out, [*paths, *paths.values()], read)
        check_new_folder("--out", out)
        draw_masks(mask_generator or folder.parent / "mask_generator", painter, seeds, truncation, [*paths])
    count, find = len(paths), style_finder(folder, painter)
    styles = read_style(style, painter, find).repeat(count, 1) if style else painter.random_styles(count, seed or 0)
    for name, path in others.items():
        of_class = painter.numbers_of(name)
        code = read_style(path, painter, find, f"--style-of: {name}")[:, of_class]
        styles = styles.index_copy(1, of_class, code.expand(count, -1))
    paint_masks(painter, paths, styles, out)


def check_asked(
    masks: Path | None,
    random: int | None,
    mask_generator: Path | None,
    truncation: float | None,
    style: Path | None,
    seed: int | None,
) -> None:
    """Raises `UserError` for options of `generate_portraits` that do not go together, or out of range."""
    if (masks is None) == (random is None):
        raise UserError(f"--masks, --random: found {'both' if masks else 'neither'}; accepted: one of them")
    if masks and style and seed is not None:
        raise UserError("--style and --seed exclude each other; accepted: one of them")
    if masks and (mask_generator or truncation is not None):
        raise UserError("--mask-generator, --truncation: accepted with --random alone")
    if random is not None and not 1 <= random <= MOST_RANDOM:
        raise UserError(f"--random {random}; accepted: 1 to {MOST_RANDOM}")
    if random is not None and not 0 <= (seed or 0) <= MOST_SEED:
        raise UserError(f"--seed {seed}; accepted with --random: 0 to {MOST_SEED}")
    if truncation is not None and not 0 <= truncation <= 1.5:
        raise UserError(f"--truncation {truncation:g}; accepted: 0 (the mean mask) to 1.5; 1 is none")


def draw_masks(
    generator: Path, painter: Painter, seeds: Sequence[int], truncation: float | None, paths: Sequence[Path]
) -> None:
    """Draws the masks of seeds, as large as a painter's portraits, to PNGs of class ids.

    Raises:
        UserError: The generator is missing, of another class table, or of another shape.
    """
    sampler = MaskSampler.load(generator, painter.classes)
    (height, width), size = ((g.height, g.width) for g in (sampler.generator, painter.generator))
    if height * size[1] != width * size[0]:
        raise UserError(
            f"--mask-generator: {generator} draws masks of {width} x {height}; accepted: the shape of GauGAN's, "
            f"{size[1]} x {size[0]}"
        )
    psi = TRUNCATION if truncation is None else truncation
    pairs = zip(progress(seeds, "draw_masks", len(seeds), "masks"), paths, strict=True)
    for batch in batched(pairs, BATCH):
        masks = sampler.masks([seed for seed, _ in batch], psi, size[0])
        for mask, (_, path) in zip(masks, batch, strict=True):
            with atomic_write(path) as tmp:
                tmp.write_bytes(encode_mask(mask, painter.classes))


def paint_masks(painter: Painter, paths: dict[Path, Path], styles: Tensor, out: Path) -> None:
    """Paints masks, the keys of `paths`, in as many styles, (N, z_dim), to PNGs, its values.

    Raises:
        UserError: Some masks cannot be used; the others are painted.
    """
    first, count = {portrait: path for path, portrait in reversed(paths.items())}, len(paths)
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
