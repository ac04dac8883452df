"""Pixels of mask files, of other programs too: indices as stored, or classes by the colors that the file shows.

Tools that sort a palette, and editors that save RGB, keep a mask's colors and lose its numbers.
"""

import io
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from facemill.data.classes import IGNORE, ClassTable, parse_classes
from facemill.data.image_files import IMAGE_ERRORS, check_pixels
from facemill.errors import first_line

FORMS = "single-channel 8-bit PNG (P or L), or exactly the colors of `classes`"
"""What is accepted, as messages name it."""

_LOSSY = ("JPEG", "MPO", "JPEG2000", "WEBP", "AVIF", "HEIF")


class InvalidMask(ValueError):
    """A file that is no mask; the message is the reason."""


class MaskFile(NamedTuple):
    """The content of a mask file."""

    pixels: np.ndarray
    """uint8 (height, width): the indices that the file holds, or where `is_by_color` class ids and `IGNORE`."""

    is_by_color: bool
    palette: bytes
    """The color of each index, RGB; empty of gray masks, and where `is_by_color`."""
    table: ClassTable | None
    """The class table that masks of this project carry."""


def read_mask(source: Path | bytes, classes: ClassTable | None, ids: Sequence[int] | None = None) -> MaskFile:
    """Reads a mask file: by index, or by color where it is RGB or its palette shows classes at others' indices.

    Args:
        source: the file, or its bytes.
        classes: the classes and their colors, those in the file before these; without any, all files are read by index.
        ids: the class id of each index; None where indices are class ids.

    Raises:
        InvalidMask: Neither indices nor exactly these colors.
    """
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as picture:
            _check_form(picture)
            check_pixels(picture)
            picture.load()  # for texts behind the pixels, too
            text = picture.info.get("classes")
            table = parse_classes(text) if text else None
            has_other_labels = ids is not None and table and classes and table.names != classes.names
            shown = classes if table is None or has_other_labels else table
            return MaskFile(*_pixels(ImageOps.exif_transpose(picture), shown, ids), table)
    except InvalidMask:
        raise
    except IMAGE_ERRORS as error:
        raise InvalidMask(f"cannot be read ({first_line(error)})") from error


def _check_form(picture: Image.Image) -> None:
    if picture.format in _LOSSY:
        raise InvalidMask(f"format {picture.format}, whose compression may change numbers; accepted: PNG")
    tiles = getattr(picture, "tile", [])  # Pillow's tuples of a decoder and its arguments, here the raw mode
    bits = str(tiles[0].args) if picture.mode == "L" and tiles else ""
    if bits in ("L;2", "L;4"):  # which Pillow spreads over 0 to 255
        raise InvalidMask(f"gray of {bits[-1]} bits a pixel; accepted: {FORMS}")


def _pixels(
    picture: Image.Image, table: ClassTable | None, ids: Sequence[int] | None
) -> tuple[np.ndarray, bool, bytes]:
    """The fields of a `MaskFile` before its table."""
    if picture.mode == "L":
        return np.asarray(picture), False, b""
    if picture.mode == "P":
        indices, palette = np.asarray(picture), picture.getpalette("RGB") or []
        if table is None or bytes(palette) == table.palette or _shows_indices(indices, palette, table, ids):
            return indices, False, bytes(palette)
    elif table is None or picture.mode not in ("RGB", "RGBA"):
        depth = {"1": ", black and white", "I;16": ", 16 bits a pixel"}.get(picture.mode, "")
        raise InvalidMask(f"mode {picture.mode}{depth}; accepted: {FORMS}")
    return _by_color(picture, table), True, b""


def index_of_color(content: MaskFile) -> dict[str, int]:
    """The index that each color in a mask shows, without colors that the palette has twice; empty without a palette."""
    palette = [f"#{content.palette[i : i + 3].hex()}" for i in range(0, len(content.palette), 3)]
    used = np.unique(content.pixels).tolist() if palette else []
    return {palette[i]: i for i in used if i < len(palette) and palette.count(palette[i]) == 1}


def shows_other_colors(content: MaskFile, classes: ClassTable) -> bool:
    """Whether a mask without a class table has a palette of none of the classes' colors, and not gray.

    Another program may have sorted it: its indices are then those of other classes.
    """
    shown = {color for color in index_of_color(content) if len({color[1:3], color[3:5], color[5:]}) > 1}
    expected = {f"#{bytes(color).hex()}" for color in classes.colors}
    return content.table is None and bool(shown) and shown.isdisjoint(expected)


def is_binary(pixels: np.ndarray) -> bool:
    """Whether indices are 0 and 255 alone, as programs write one class in white, where 255 means `IGNORE`."""
    return set(np.unique(pixels).tolist()) == {0, IGNORE}


def _shows_indices(indices: np.ndarray, palette: Sequence[int], table: ClassTable, ids: Sequence[int] | None) -> bool:
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
        raise InvalidMask(f"transparent pixels; accepted: {FORMS}")
    red, green, blue = np.moveaxis(np.asarray(picture.convert("RGB")).astype(np.uint32), -1, 0)
    colors = red << 16 | green << 8 | blue
    mask, unknown = np.zeros(colors.shape, np.uint8), np.ones(colors.shape, bool)
    for (r, g, b), class_ids in _meanings(table).items():
        same = colors == (r << 16 | g << 8 | b)
        if len(class_ids) > 1 and same.any():
            raise InvalidMask(f"the color #{r:02x}{g:02x}{b:02x} of more than one class; accepted: indices (P or L)")
        mask[same] = min(class_ids)
        unknown &= ~same
    if unknown.any():
        what = "a palette that shows `classes` at other indices" if picture.mode == "P" else f"mode {picture.mode}"
        others = f"{unknown.sum()} of {unknown.size} pixels have others, the first #{colors[unknown][0]:06x}"
        raise InvalidMask(f"{what}; accepted: {FORMS} ({others})")
    return mask
