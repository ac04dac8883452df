"""Generation of portraits from a folder of masks by a trained GauGAN, outside the workflow."""

from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from facemill.config.ingest import Cropping
from facemill.data.classes import IGNORE
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
from facemill.networks.store import load_model, model_settings
from facemill.networks.vae import Vae


def generate_portraits(
    *, model: Path, masks: Path, out: Path, style: Path | None = None, seed: int | None = None
) -> None:
    """Generates a portrait from every mask (`.png`) of a folder and its subfolders, at the model's size.

    Args:
        model: a trained GauGAN: its folder, for example results/sample/gaugan.
        masks: folder of PNGs of class ids, one channel of 8 bits, such as predict_masks writes, or of exactly the
            classes' colors, as editors save them; any size.
        out: folder of the portraits, PNGs of the masks' names: neither the folder of masks nor in it.
        style: an image whose style all portraits have, cropped as the model's collection was.
        seed: seed of random styles, one for each portrait, distributed as those of the training; 0 where neither
            `style` nor `seed` is given.
    """
    if style and seed is not None:
        raise UserError("--style and --seed exclude each other; accepted: one of them")
    folder = model if model.is_dir() else model.parent
    painter = Painter.load(folder)
    if style and (z_source := painter.generator.z) != "encoder":
        raise UserError(f"--style: {folder} was trained with z: {z_source}; accepted: a model with z: encoder")
    files = files_in("--masks", masks, (".png",), "mask")
    paths = {Path(file.path): (out / file.name).with_suffix(".png") for file in files}
    check_out("--masks", masks, out, paths.values(), [*paths, *([style] if style else [])])
    first = {portrait: path for path, portrait in reversed(paths.items())}
    if style:
        painter.encoder = load_model(Vae, folder / "style_encoder.safetensors")
    count = len(paths)
    styles = (
        read_style(style, painter, style_finder(folder, painter)).expand(count, -1)
        if style
        else painter.random_styles(count, seed or 0)
    )
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


def read_style(path: Path, painter: Painter, find: Finder | None = None) -> Tensor:
    """The style code (1, z_dim) of an image, cropped as a portrait of the generator's collection would be.

    Args:
        path: the image; one of the generator's size is a portrait as it is.
        painter: a painter with a style encoder.
        find: finds the portrait in images of another size; by default it is the largest box, in the center.
    """
    generator = painter.generator
    try:
        pixels = load_portrait(path, generator.width, generator.height // generator.width, find)
    except Unreadable as error:
        raise UserError(f"--style: {path}: {error}") from error
    return painter.encode_styles(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None])


def read_mask(path: Path, painter: Painter) -> Tensor:
    """A mask file at the generator's size: class ids, uint8 (1, H, W). Raises `UserError` when its table is another."""
    mask = decode_mask(path.read_bytes(), painter.classes)
    if is_binary(mask):
        raise UserError(f"only 0 and {IGNORE} in it; accepted: class ids, 0 to {len(painter.classes) - 1}")
    size = (painter.generator.width, painter.generator.height)
    resized: np.ndarray = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST_EXACT)
    return torch.from_numpy(resized)[None]
