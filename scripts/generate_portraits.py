"""Paints portraits from a folder of masks with a finished GauGAN, outside the workflow."""

from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from facemill.data.shards import decode_mask
from facemill.errors import UserError
from facemill.files import atomic_write
from facemill.ingest.portraits import Unreadable, load_portrait
from facemill.log import log, progress
from facemill.metrics.generation import paint, styles
from facemill.networks.spade import Generator
from facemill.networks.store import load_model
from facemill.networks.vae import Vae
from facemill.workflow.command import run


def main(*, model: Path, masks: Path, out: Path, style: Path | None = None, seed: int | None = None) -> None:
    """Paints a portrait from every mask (`.png`) of a folder and its subfolders, at the model's size.

    Parameters
    ----------
    model:
        a finished GauGAN: its folder, for example results/sample/gaugan
    masks:
        folder of single-channel 8-bit PNGs of class ids, such as predict_masks writes; any size
    out:
        folder for the portraits, PNGs under the masks' names
    style:
        an image whose style all portraits take
    seed:
        without an image: draws a style of its own for each portrait (0 when neither is given)
    """
    if style and seed is not None:
        raise UserError("--style and --seed exclude each other; accepted: one of them")
    folder = model if model.is_dir() else model.parent
    generator = load_model(Generator, folder)
    if style and generator.z != "encoder":
        raise UserError(f"--style: {folder} was trained with z: {generator.z}; accepted: a model with z: encoder")
    files = sorted(masks.rglob("*.png"))
    if not files:
        raise UserError(f"--masks: {masks} holds no .png file; accepted: a folder of palette PNGs")
    if style:
        encoder = load_model(Vae, folder / "style_encoder.safetensors")
        z = styles(encoder, read_style(style, encoder.size))
    else:
        z = None
    random = torch.Generator().manual_seed(seed or 0)
    faults = []
    for path in progress(files, "generate_portraits", len(files), "masks"):
        code = torch.randn((1, generator.z_dim), generator=random) if z is None else z
        try:
            mask = torch.from_numpy(read_mask(path, generator.width, generator.height))[None]
        except (UserError, OSError) as error:
            faults.append(f"{path}: {error}")
            continue
        with atomic_write((out / path.relative_to(masks)).with_suffix(".png")) as tmp:
            Image.fromarray(paint(generator, mask, code)[0]).save(tmp)
    for fault in faults:
        log.error("%s", fault)
    if faults:
        raise UserError(f"{len(faults)} of {len(files)} masks could not be used; the others are in {out}")


def read_style(path: Path, size: int) -> torch.Tensor:
    """A style reference as the VAE saw portraits: uint8 (1, 3, size, size), cut to its middle square."""
    try:
        return torch.from_numpy(load_portrait(path, size).copy()).permute(2, 0, 1)[None]
    except Unreadable as error:
        raise UserError(f"--style: {path}: {error}") from error


def read_mask(path: Path, width: int, height: int) -> np.ndarray:
    """A mask file at the generator's size: class ids, uint8 (height, width)."""
    mask = decode_mask(path.read_bytes())
    return cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)


if __name__ == "__main__":
    run(main)
