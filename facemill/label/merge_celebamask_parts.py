"""CelebAMask-HQ's files, one for each part of a face, merged into masks of one index a pixel.

Lee et al. 2020, MaskGAN; the order of parts is that of `face_parsing/Data_preprocessing/g_mask.py` in
https://github.com/switchablenorms/CelebAMask-HQ, later ones over earlier ones.
"""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from facemill.data.image_files import read_rgb
from facemill.data.walk import File, check_out, files_in
from facemill.errors import UserError, first_names, list_faults
from facemill.files import atomic_write
from facemill.log import log, progress

PARTS = (
    *("background", "skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear"),
    *("mouth", "u_lip", "l_lip", "hair", "hat", "ear_r", "neck_l", "neck", "cloth"),
)
"""The parts by their index in merged masks, as `labels.index_names` lists them."""

_NAME = re.compile(rf"(\d+)_({'|'.join(PARTS[1:])})")


def merge_celebamask_parts(*, parts: Path, out: Path, threads: int = 1) -> None:
    """Merges CelebAMask-HQ's files, `00000_hair.png` and so on, into a mask for each image, `0.png`.

    The masks suit `source.masks` with config/celeba.yaml, which names their indices.

    Args:
        parts: folder of the parts, such as CelebAMask-HQ-mask-anno; those below it come with it.
        out: folder of the masks, apart from the parts.
        threads: masks merged at a time.

    Raises:
        UserError: A file is none of a part, a portrait has a part twice, or its parts are unreadable or of many sizes.
    """
    files = files_in("--parts", parts, (".png",), "part")
    if others := [file.name for file in files if not _NAME.fullmatch(file.stem)]:
        accepted = f"NUMBER_PART.png with {', '.join(PARTS[1:])}"
        raise UserError(
            f"--parts {parts}: {len(others)} files are no parts: {first_names(others)}; accepted: {accepted}"
        )
    portraits: dict[int, list[File]] = {}
    for file in files:
        portraits.setdefault(int(file.stem.partition("_")[0]), []).append(file)
    targets = {number: out / f"{number}.png" for number in portraits}
    check_out("--parts", parts, out, targets.values(), [Path(file.path) for file in files])

    def merge(number: int) -> str | None:
        """Writes the mask of a portrait, or returns why there is none."""
        try:
            mask = merged(portraits[number])
        except ValueError as error:
            return str(error)
        with atomic_write(targets[number]) as tmp:
            Image.fromarray(mask).save(tmp, "PNG")
        return None

    with ThreadPoolExecutor(threads) as pool:
        faults = progress(pool.map(merge, portraits), "merge_celebamask_parts", len(portraits), "masks")
        found = [(number, fault) for number, fault in zip(portraits, faults, strict=True) if fault]
    log.info("%d masks in %s", len(portraits) - len(found), out)
    if found:
        lines = [f"{len(found)} of {len(portraits)} portraits have no mask:", *list_faults(found)]
        raise UserError("\n  ".join(lines))


def merged(files: Sequence[File]) -> np.ndarray:
    """The mask of one portrait's parts, uint8 (H, W) of indices of `PARTS`.

    Raises `ValueError` when a part is there twice, cannot be read, or is of another size.
    """
    names = [file.stem.partition("_")[2] for file in files]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"the part {twice[0]} is there twice")
    mask: np.ndarray | None = None
    for name, file in sorted(zip(names, files, strict=True), key=lambda pair: PARTS.index(pair[0])):
        try:
            part = np.asarray(read_rgb(Path(file.path)))[..., 0] > 127  # they are white on black, in gray or in RGB
        except ValueError as error:
            raise ValueError(f"{file.name} {error}") from error
        mask = np.zeros(part.shape, np.uint8) if mask is None else mask
        if part.shape != mask.shape:
            raise ValueError("parts of several sizes")
        mask[part] = PARTS.index(name)
    assert mask is not None
    return mask


def refuse_parts(folder: Path, masks: Sequence[File]) -> None:
    """Raises `UserError` where masks are CelebAMask-HQ's parts."""
    if parts := [file.name for file in masks if _NAME.fullmatch(file.stem)]:
        accepted = f"one an image: python scripts/merge_celebamask_parts.py --parts {folder} --out MASKS"
        what = f"{len(parts)} of {len(masks)} masks are single parts of faces, such as {parts[0]}"
        raise UserError(f"{folder}: {what}; accepted: {accepted}")
