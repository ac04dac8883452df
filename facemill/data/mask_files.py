"""Pixels of mask files, of other programs too: indices as stored, or classes by the colors that the file shows.

Tools that sort a palette, and editors that save RGB, keep a mask's colors and lose its numbers.
"""

from collections.abc import Mapping, Sequence, Set

import numpy as np
from PIL import Image, ImageOps

from facemill.data.classes import IGNORE, ClassTable, parse_classes

FORMS = "single-channel 8-bit PNG (P or L), or exactly the colors of `classes`"
"""What is accepted, as messages name it."""

LOSSY = ("JPEG", "MPO", "JPEG2000", "WEBP", "AVIF", "HEIF")


def read_pixels(
    picture: Image.Image, table: ClassTable | None, ids: Sequence[int] | None = None
) -> tuple[np.ndarray, bool]:
    """The pixels of an open mask file, uint8 (height, width), and whether they were told by color.

    They are the indices that the file holds, unless a palette shows classes of `table` at indices that are not
    theirs, or the file is RGB: then class ids by color, and `IGNORE` where it is white.

    Args:
        picture: the open file.
        table: the classes and their colors; None takes all indices as they are.
        ids: the class id of each index; None where indices are class ids.

    Raises:
        ValueError: Neither indices nor exactly these colors; the message completes "a mask has".
    """
    if picture.format in LOSSY:
        raise ValueError(f"format {picture.format}, whose compression may change numbers; accepted: PNG")
    bits = str(picture.tile[0].args).partition(";")[2] if picture.mode == "L" and picture.tile else ""
    if bits in ("2", "4"):  # Pillow spreads them over 0 to 255
        raise ValueError(f"gray of {bits} bits a pixel; accepted: {FORMS}")
    upright = ImageOps.exif_transpose(picture)
    if upright.mode == "L":
        return np.asarray(upright), False
    if upright.mode == "P":
        indices = np.asarray(upright)
        palette = upright.getpalette("RGB") or []
        if table is None or bytes(palette) == table.palette or _shows_indices(indices, palette, table, ids):
            return indices, False
    elif table is None or upright.mode not in ("RGB", "RGBA"):
        depth = {"1": ", black and white", "I;16": ", 16 bits a pixel"}.get(upright.mode, "")
        raise ValueError(f"mode {upright.mode}{depth}; accepted: {FORMS}")
    return _by_color(upright, table), True


def own_table(picture: Image.Image) -> ClassTable | None:
    """The class table that a mask of this project carries. Raises `ValueError` when it is damaged."""
    picture.load()  # for texts behind the pixels, too
    text = picture.info.get("classes")
    return parse_classes(text) if text else None


def is_binary(pixels: np.ndarray) -> bool:
    """Whether indices are 0 and 255 alone, as programs write one class in white, where 255 means `IGNORE`."""
    return bool(((pixels == 0) | (pixels == IGNORE)).all() and (pixels == IGNORE).any())


def _shows_indices(
    indices: np.ndarray, palette: Sequence[int], table: ClassTable, ids: Sequence[int] | None
) -> bool:
    """Whether a palette contradicts no index: it shows a class at the class's id, or at an index that means it."""
    meanings = _meanings(table)
    shown = {i: meanings.get(tuple(palette[3 * i : 3 * i + 3]), frozenset()) for i in np.unique(indices).tolist()}
    if not any(classes - {0, IGNORE} for classes in shown.values()):  # white, and one color alone, may be by chance
        shown = {i: classes - {IGNORE} for i, classes in shown.items()}
    by_id = {i: i for i in shown}
    by_label = by_id if ids is None else dict(enumerate(ids))
    return any(all(not classes or of.get(i) in classes for i, classes in shown.items()) for of in (by_id, by_label))


def _meanings(table: ClassTable) -> Mapping[tuple[int, ...], Set[int]]:
    """The class ids of each color, and `IGNORE` of white."""
    meanings: dict[tuple[int, ...], set[int]] = {(255, 255, 255): {IGNORE}}
    for class_id, color in enumerate(table.colors):
        meanings.setdefault(color, set()).add(class_id)
    return meanings


def _by_color(picture: Image.Image, table: ClassTable) -> np.ndarray:
    if picture.has_transparency_data and np.asarray(picture.convert("RGBA"))[..., 3].min() < 255:
        raise ValueError(f"transparent pixels; accepted: {FORMS}")
    red, green, blue = np.moveaxis(np.asarray(picture.convert("RGB")).astype(np.uint32), -1, 0)
    colors = red << 16 | green << 8 | blue
    mask, unknown = np.zeros(colors.shape, np.uint8), np.ones(colors.shape, bool)
    for (r, g, b), class_ids in _meanings(table).items():
        same = colors == (r << 16 | g << 8 | b)
        if len(class_ids) > 1 and same.any():
            raise ValueError(f"the color #{r:02x}{g:02x}{b:02x} of more than one class; accepted: indices (P or L)")
        mask[same] = min(class_ids)
        unknown &= ~same
    if unknown.any():
        what = "a palette that shows `classes` at other indices" if picture.mode == "P" else f"mode {picture.mode}"
        others = f"{unknown.sum()} of {unknown.size} pixels have others, the first #{colors[unknown][0]:06x}"
        raise ValueError(f"{what}; accepted: {FORMS} ({others})")
    return mask
