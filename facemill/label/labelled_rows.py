"""Labelled portraits as rows of a shard: image and class mask resized to the same size, near-duplicates grouped."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from PIL import Image, ImageOps

from facemill.data.classes import IGNORE, ClassTable
from facemill.data.names import id_of_file
from facemill.data.shards import IMAGE, decode_image, encode_jpeg, encode_mask, sort_key
from facemill.data.splits import group_representatives
from facemill.errors import UserError, first_names, list_faults
from facemill.imaging.phash import near_duplicates
from facemill.ingest.crop_place import Placing, placing
from facemill.ingest.portraits import Box, center_box
from facemill.label.label_files import InvalidLabel, LabelSource
from facemill.log import log, progress

SCHEMA = pa.schema([("id", pa.string()), ("image", IMAGE), ("mask", IMAGE)])
"""The columns of labelled portraits: the image a JPEG, the mask a palette PNG of the same size."""

MIN_SHARE = 0.01
"""The least share of labelled pixels cut off of which a portrait is warned."""


class Conversion(NamedTuple):
    """A label file's row of `SCHEMA`, or the errors for which it has none."""

    row: dict[str, Any] | None
    errors: Sequence[str]
    warnings: Sequence[str] = ()
    image_hash: bytes = b""
    """Of the image's pixels, before it is cropped and resized."""
    cut_off: float = 0
    """The share of its labelled pixels that is not in the row."""
    index_of_color: Mapping[str, int] = {}
    """That of its `LabelledImage`."""
    has_other_colors: bool = False
    """That of its `LabelledImage`."""


class _Earlier(NamedTuple):
    """The first file of each id, image hash and palette color, to name what contradicts it."""

    files: dict[str, Path]
    images: dict[bytes, Path]
    colors: dict[str, tuple[int, Path]]

    def conflicts(self, row_id: str, path: Path, conversion: Conversion) -> Iterator[str]:
        """The errors of a file for what earlier files hold, after which it is an earlier one, too."""
        if self.files.setdefault(row_id, path) != path:
            yield f"id {row_id!r} is taken by another file; names must differ across folders"
        image_hash = conversion.image_hash
        if image_hash and (first := self.images.setdefault(image_hash, path)) != path:
            yield same_image(first)
        reordered = None
        for color, index in conversion.index_of_color.items():
            first_index, first = self.colors.setdefault(color, (index, path))
            if index != first_index and not reordered:
                reordered = f"{color} is index {index} in it and {first_index} in {first}, so one palette was reordered"
        if reordered:
            yield f"{reordered}; accepted: the same palette in all masks, or none (L)"


def labelled_rows(
    sources: Sequence[LabelSource],
    classes: ClassTable,
    size: int,
    ratio: float = 1,
    threads: int = 1,
    place: Placing | None = None,
) -> tuple[list[dict[str, Any]], dict[str, Sequence[str]]]:
    """Reads label files into rows of `SCHEMA`; a row's id is its file's stem, as `id_of_file` reads it.

    Of files that are called after their images, such as `x.jpg.png`, it is the image's stem, as in the collection.

    Args:
        sources: from `labelme_files` and `index_mask_files`.
        classes: the masks' class table.
        size: height of images and masks, in pixels.
        ratio: height : width.
        threads: files read at a time.
        place: finds the place of a portrait in an image of another aspect; by default it is in the middle.

    Returns:
        The rows, in the order of ids, and the warnings by id.

    Raises:
        UserError: With all errors of all files, those of one kind counted.
    """
    rows: dict[str, dict[str, Any] | None] = {}
    warnings: dict[str, Sequence[str]] = {}
    faults: list[tuple[Path, str]] = []
    remarks: list[tuple[Path, str]] = []
    cut_off: dict[str, float] = {}
    other_colors: list[Path] = []
    place = place or placing("middle", ratio)
    earlier = _Earlier({}, {}, {})
    with ThreadPoolExecutor(threads) as pool:
        conversions = pool.map(lambda source: convert(source, classes, size, ratio, place), sources)
        conversions = progress(conversions, "labelled portraits", len(sources))
        for (path, _), conversion in zip(sources, conversions, strict=True):
            row_id = conversion.row["id"] if conversion.row else id_of_file(path.stem)
            faults += [(path, error) for error in (*conversion.errors, *earlier.conflicts(row_id, path, conversion))]
            remarks += [(path, warning) for warning in conversion.warnings]
            other_colors += [path] * conversion.has_other_colors
            rows[row_id] = conversion.row
            noted = [*conversion.warnings]
            if conversion.cut_off >= MIN_SHARE:
                cut_off[row_id] = conversion.cut_off
                noted.append(f"{conversion.cut_off:.0%} of its labelled pixels are cut off")
            if noted:
                warnings[row_id] = noted
    _log_warnings(remarks, cut_off, other_colors, len(sources))
    if faults:
        invalid = len({path for path, _ in faults})
        lines = [f"errors in {invalid} of {len(sources)} labelled portraits", *list_faults(faults)]
        raise UserError("\n  ".join(lines))
    return [row for row in (rows[row_id] for row_id in sorted(rows, key=sort_key)) if row], warnings


def _log_warnings(
    remarks: Sequence[tuple[Path, str]], cut_off: Mapping[str, float], other_colors: Sequence[Path], count: int
) -> None:
    """Logs a line a kind of warning.

    Masks of other colors are warned of although `labels.index_names` names their indices: a program that has sorted a
    palette since has changed the indices, and shows the same colors.
    """
    for line in list_faults(remarks):
        log.warning("warning: %s", line)
    if cut_off:
        worst_first = sorted(cut_off.items(), key=lambda item: -item[1])
        shares = first_names(f"{row_id} ({share:.0%})" for row_id, share in worst_first)
        log.warning("warning: labelled pixels are cut off, as portraits.crop and portraits.ratio say, of %s", shares)
    if other_colors:
        what = "show none of the classes' colors, and are read by index, as labels.index_names names them"
        portraits = f"{len(other_colors)} of {count} labelled portraits"
        log.warning("warning: masks of %s %s: %s", portraits, what, first_names(other_colors))


def convert(source: LabelSource, classes: ClassTable, size: int, ratio: float, place: Placing) -> Conversion:
    """Reads one label file; image and mask are cropped and resized alike, to `size` x `size / ratio` pixels."""
    others = [*classes.role_ids("background"), IGNORE]
    target = (round(size / ratio), size)
    try:
        picture, mask, warnings, index_of_color, has_other_colors, row_id = source.read()
        if np.isin(mask, others).all():
            raise InvalidLabel("nothing but background in it; accepted: at least one part")
        # cropped and resized as `ingest.portraits.crop` does, so that a U-Net meets the pixels it was trained on
        centering = place(picture)
        box = center_box(*picture.size, size / target[0], centering)
        small_mask = np.asarray(ImageOps.fit(Image.fromarray(mask), target, Image.Resampling.NEAREST, 0, centering))
        if np.isin(small_mask, others).all():
            kept = f"{(box.right - box.left) * picture.width:.0f} x {(box.bottom - box.top) * picture.height:.0f}"
            raise InvalidLabel(
                f"nothing but background in the part that is kept, {kept} of {picture.width} x {picture.height} "
                "pixels; accepted: at least one part in it, which another portraits.crop or portraits.ratio may give"
            )
    except InvalidLabel as error:
        return Conversion(None, error.args)
    image = ImageOps.fit(picture, target, Image.Resampling.LANCZOS, 0, centering)
    row = labelled_row(row_id or id_of_file(source.path.stem), np.asarray(image), small_mask, classes)
    cut_off = share_cut_off(~np.isin(mask, others), box)
    return Conversion(row, (), warnings, hash_pixels(picture), cut_off, index_of_color, has_other_colors)


def hash_pixels(picture: Image.Image) -> bytes:
    """A SHA-256 of a picture's pixels and size, by which the same image is known under another name."""
    return hashlib.sha256(f"{picture.size}".encode() + picture.tobytes()).digest()


def same_image(first: Path) -> str:
    """What is wrong with a label file whose image is that of an earlier one."""
    return f"the same image as that of {first}; accepted: each image once"


def share_cut_off(labelled: np.ndarray, box: Box) -> float:
    """The share of labelled pixels, True in bool (H, W), that lie outside a box."""
    height, width = labelled.shape
    rows = slice(round(box.top * height), round(box.bottom * height))
    columns = slice(round(box.left * width), round(box.right * width))
    return 1 - float(labelled[rows, columns].sum() / labelled.sum())


def labelled_row(portrait_id: str, image: np.ndarray, mask: np.ndarray, classes: ClassTable) -> dict[str, Any]:
    """A row of `SCHEMA` from uint8 RGB (H, W, 3) and class ids, uint8 (H, W)."""
    return {
        "id": portrait_id,
        "image": {"bytes": encode_jpeg(image), "path": f"{portrait_id}.jpg"},
        "mask": {"bytes": encode_mask(mask, classes), "path": f"{portrait_id}.png"},
    }


def duplicate_groups(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The representative of each row's group of near-duplicates, by id: the group's first id in the rows' order.

    Portraits of one image are in one group.
    """
    pairs = near_duplicates(decode_image(row["image"]["bytes"]) for row in rows)
    representatives = group_representatives([row["id"] for row in rows], pairs)
    if duplicates := [key for key, representative in representatives.items() if key != representative]:
        log.info("near-duplicates of others or of their images, in the same split: %s", ", ".join(duplicates))
    return representatives
