"""Writes masks for a folder of images."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from facemill.data.image_files import read_rgb
from facemill.errors import UserError
from facemill.files import atomic_write
from facemill.inference.segmenter import predict
from facemill.ingest.images import SUFFIXES
from facemill.log import log, progress
from facemill.networks.store import load_model
from facemill.networks.unet import Unet
from facemill.workflow.command import run


def main(*, model: Path, images: Path, out: Path) -> None:
    """Writes a mask of its own size for every image of a folder, as palette PNG of the same name.

    Subfolders are kept. Images that cannot be read are listed at the end, and the command then exits with 1.

    Args:
        model: the U-Net, a safetensors file or the folder that holds it
        images: folder of images, any sizes
        out: folder of masks, apart from the images
    """
    found = images_in(images, out)
    names = [path.relative_to(images).with_suffix(".png") for path in found]
    first = {name: path for path, name in reversed(list(zip(found, names, strict=True)))}
    unet = load_model(Unet, model)

    def read(path: Path) -> Image.Image:
        name = path.relative_to(images).with_suffix(".png")
        if first[name] != path:
            raise ValueError(f"its mask would replace that of {first[name].name}")
        return read_rgb(path)

    failed = []
    with ThreadPoolExecutor(2) as pool:
        done = progress(predict(unet, found, read, pool), "predict_masks", len(found))
        for name, (path, mask) in zip(names, done, strict=True):
            if isinstance(mask, ValueError):
                failed.append(f"{path}: {mask}")
            else:
                with atomic_write(out / name) as tmp:
                    tmp.write_bytes(mask)
    log.info("%d masks in %s", len(found) - len(failed), out)
    if failed:
        sys.exit("\n".join([f"{len(failed)} of {len(found)} images have no mask:", *failed]))


def images_in(folder: Path, out: Path) -> list[Path]:
    """The image files below a folder, by what their names end with, sorted; those below `out` are no input."""
    target = out.resolve()
    if target == folder.resolve():
        raise UserError(f"--out {out}: is the folder of images; accepted: another, so that no image is replaced")
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and target not in path.resolve().parents]
    found = [path for path in files if path.suffix.lower() in SUFFIXES]
    if not found:
        accepted = ", ".join(sorted(SUFFIXES))
        raise UserError(f"--images {folder}: no image among {len(files)} files; accepted: {accepted}")
    if len(found) < len(files):
        log.info("%d files are no images by their names and are left out", len(files) - len(found))
    return found


if __name__ == "__main__":
    run(main)
