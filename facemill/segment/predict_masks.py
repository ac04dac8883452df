"""Masks for a folder of images, by a trained U-Net; outside the workflow."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from facemill.data.batching import map_ahead
from facemill.data.controlnet import controlnet_colors
from facemill.data.image_files import read_rgb
from facemill.data.shards import encode_mask
from facemill.data.walk import IMAGE_SUFFIXES, check_out, files_in
from facemill.errors import UserError, list_faults
from facemill.files import atomic_write
from facemill.inference.segmenter import Segmenter
from facemill.log import log, progress


def predict_masks(
    *, model: Path, images: Path, out: Path, colors: Literal["classes", "controlnet"] = "classes"
) -> None:
    """Writes a mask for every image of a folder: a PNG of the image's name and size.

    The folder's subfolders come with it; hidden files are left out. Images that cannot be read are listed at the end;
    the exit status is then 1.

    Args:
        model: the U-Net, a safetensors file or the folder that holds it.
        images: folder of images, any sizes.
        out: folder of masks, apart from the images: neither their folder nor in it.
        colors: of the masks: with `classes` palette PNGs of class ids in the classes' colors; with `controlnet` RGB
            in those of ControlNet's preprocessor of anime faces, for models whose classes all have a role.
    """
    files = files_in("--images", images, IMAGE_SUFFIXES, "image")
    paths = [Path(file.path) for file in files]
    names = {path: Path(file.name).with_suffix(".png") for path, file in zip(paths, files, strict=True)}
    check_out("--images", images, out, [out / name for name in names.values()], paths)
    first = {name: path for path, name in reversed(names.items())}
    segmenter = Segmenter.load(model)
    palette = np.array(controlnet_colors(segmenter.classes), np.uint8) if colors == "controlnet" else None

    def read(path: Path) -> Image.Image:
        if first[names[path]] != path:
            raise ValueError(f"its mask would replace that of {first[names[path]].name}")
        return read_rgb(path)

    def write(prediction: tuple[Path, np.ndarray | ValueError]) -> tuple[Path, str] | None:
        """Writes the mask of an image; without one, the image and what is wrong with it."""
        path, mask = prediction
        if isinstance(mask, ValueError):
            return path, str(mask)
        with atomic_write(out / names[path]) as tmp:
            if palette is None:
                tmp.write_bytes(encode_mask(mask, segmenter.classes))
            else:
                Image.fromarray(palette[mask]).save(tmp, "PNG")
        return None

    with ThreadPoolExecutor(2) as pool:
        errors = map_ahead(pool, write, segmenter.predict(paths, read, pool))
        failures = [error for error in progress(errors, "predict_masks", len(paths)) if error]
    log.info("%d masks in %s", len(paths) - len(failures), out)
    if failures:
        raise UserError("\n  ".join([f"{len(failures)} of {len(paths)} images have no mask:", *list_faults(failures)]))
