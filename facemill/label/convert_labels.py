"""Labelled portraits, from labelme files and from ready-made masks: fine labels merged into classes, faults listed,
image and mask at one size, split into parts."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from PIL import Image, ImageOps

from facemill.config.ingest import IndexMasksConfig
from facemill.config.label import LabelsConfig
from facemill.data import labelme, splits
from facemill.data.classes import BACKGROUND, CLASSES, IGNORE
from facemill.data.image_files import read_rgb
from facemill.data.labelme import IMAGE_SUFFIXES, Findings
from facemill.data.shards import IMAGE, decode_image, decode_mask, encode_jpeg, encode_mask, sort_key
from facemill.data.splits import Part, part
from facemill.errors import UserError
from facemill.imaging.figures import colorize, image_grid, overlay
from facemill.imaging.phash import near_duplicates
from facemill.imaging.polygons import close_gaps
from facemill.log import log, progress

SCHEMA = pa.schema([("id", pa.string()), ("image", IMAGE), ("mask", IMAGE)])
"""The columns of labelled portraits: the image a JPEG, the mask a palette PNG of the same size."""


class LabelledImage(NamedTuple):
    """A picture and the class ids drawn on it, uint8 (H, W), of the same proportions; and what is to be warned of."""

    picture: Image.Image
    mask: np.ndarray
    warnings: list[str]


class Faulty(Exception):
    """A file that no labelled portrait can be made from; its arguments are the reasons."""


Source = tuple[Path, Callable[[], LabelledImage]]
"""A file and what reads it, or raises `Faulty`."""


class Converted(NamedTuple):
    """What became of one file: its row of `SCHEMA`, or its faults."""

    row: dict | None
    faults: tuple[str, ...]
    warnings: Sequence[str] = ()
    pixels: bytes = b""
    """A hash of the image's pixels."""


def class_ids(settings: LabelsConfig) -> dict[str, int]:
    """The class id that each label becomes; `IGNORE` for those that are left out."""
    merged = {label: CLASSES.index(name) for name, labels in settings.merge.items() for label in labels}
    return merged | dict.fromkeys(settings.ignore, IGNORE)


def labelled_portraits(
    sources: Sequence[Source], size: int, threads: int = 1, ratio: float = 1
) -> tuple[list[dict], dict[str, Sequence[str]]]:
    """Rows of `SCHEMA`, in the order of shards, and the warnings of those that have any, by id.

    The id is the file's stem. Image and mask are cropped and resized alike, to `size` in height and `size / ratio` in
    width. Raises `UserError` with every fault of every file.
    """
    rows, first, warnings, faults, bad = {}, {}, {}, [], 0
    with ThreadPoolExecutor(threads) as pool:
        converted = pool.map(lambda source: convert(*source, size, ratio), sources)
        for (path, _), done in zip(sources, progress(converted, "labelled portraits", len(sources)), strict=False):
            found = list(done.faults)
            if path.stem in rows:
                found.append(f"id {path.stem!r} is taken by another file; names must differ across folders")
            if done.pixels and first.setdefault(done.pixels, path) != path:
                found.append(f"the same image as that of {first[done.pixels]}; accepted: each image once")
            rows[path.stem] = done.row
            bad += bool(found)
            faults += [f"{path}: {fault}" for fault in found]
            if done.warnings:
                warnings[path.stem] = done.warnings
                log.warning("\n".join(f"warning: {path}: {warning}" for warning in done.warnings))
    if bad:
        raise UserError("\n  ".join([f"faults in {bad} of {len(sources)} labelled portraits", *faults]))
    return [rows[id] for id in sorted(rows, key=sort_key)], warnings


def convert(path: Path, read: Callable[[], LabelledImage], size: int, ratio: float) -> Converted:
    """The row of one file, with what was found in it."""
    try:
        picture, mask, warnings = read()
        if not ((mask != BACKGROUND) & (mask != IGNORE)).any():
            raise Faulty("nothing but background in it; accepted: at least one part")
    except Faulty as error:
        return Converted(None, error.args)
    # both cut and resized as `ingest.portraits.load_portrait` does, so that a U-Net meets the pixels it was trained on
    fitted = (round(size / ratio), size)
    image = ImageOps.fit(picture, fitted, Image.Resampling.LANCZOS)
    small = ImageOps.fit(Image.fromarray(mask), fitted, Image.Resampling.NEAREST)
    pixels = hashlib.sha256(f"{picture.size}".encode() + picture.tobytes()).digest()
    return Converted(labelled_row(path.stem, np.asarray(image), np.asarray(small)), (), warnings, pixels)


def labelme_files(folder: Path, settings: LabelsConfig) -> list[Source]:
    """The labelme files below a folder, sorted; raises `UserError` when there is none.

    Masks are drawn at the image's own size; pixels without a label are background.
    """
    files = sorted(folder.rglob("*.json"))
    if not files:
        raise UserError(f"{folder}: found no labelme file; accepted: NAME.json files, each with its image beside it")
    ids = class_ids(settings)
    return [(path, partial(read_labelme, path, ids, settings.tolerance, settings.fill_gaps)) for path in files]


def read_labelme(path: Path, ids: Mapping[str, int], tolerance: float, gap: int = 0) -> LabelledImage:
    """The portrait of a labelme file; `ids` are the class ids of its labels. Raises `Faulty`.

    Pixels without a label are background, or where narrower than `gap` pixels of the nearest class.
    """
    annotation, faults = labelme.read(path)
    if annotation is None:
        raise Faulty(*faults)
    try:
        source = labelme.find_image(path, annotation)
    except ValueError as error:
        raise Faulty(str(error)) from error
    if source is None:
        raise Faulty(f"no image at imagePath {annotation.image_path!r}, nor embedded, nor named {path.stem}")
    picture = _read_image(source)
    shape = (picture.height, picture.width)
    found: Findings = labelme.check(annotation, shape, ids, tolerance)
    if found.faults:
        raise Faulty(*found.faults)
    mask = labelme.draw(annotation.shapes, shape, ids)
    if gap:
        labelled = labelme.draw(annotation.shapes, shape, dict.fromkeys(ids, 1))
        mask = close_gaps(mask, labelled == 0, gap)
    return LabelledImage(picture, mask, found.warnings)


def mask_files(source: IndexMasksConfig, settings: LabelsConfig) -> list[Source]:
    """The ready-made masks below a folder, sorted; raises `UserError` when there is none.

    The image of `NAME.png` is the one called NAME below the folder of images.
    """
    files = sorted(source.masks.rglob("*.png"))
    if not files:
        raise UserError(f"{source.masks}: found no mask; accepted: NAME.png files")
    images = {path.stem: path for path in sorted(source.images.rglob("*")) if path.suffix.lower() in IMAGE_SUFFIXES}
    ids = class_ids(settings)
    classes = np.array([ids[label] for label in settings.index_names], np.uint8)
    return [(path, partial(read_mask, path, images.get(path.stem), classes)) for path in files]


def read_mask(path: Path, image: Path | None, classes: np.ndarray) -> LabelledImage:
    """The portrait of a ready-made mask; `classes` are the class ids of its numbers, uint8. Raises `Faulty`."""
    if image is None:
        raise Faulty(f"no image named {path.stem}; accepted: {', '.join(IMAGE_SUFFIXES)}")
    try:
        with Image.open(path) as file:
            if file.mode not in ("P", "L"):
                raise Faulty(f"mode {file.mode}; accepted: single-channel 8-bit PNG (P or L)")
            numbers = np.asarray(file)
    except (OSError, SyntaxError) as error:
        raise Faulty(f"cannot be read ({error})") from error
    unknown = numbers[(numbers >= len(classes)) & (numbers != IGNORE)]
    if unknown.size:
        accepted = f"0 to {len(classes) - 1}, as labels.index_names names them, and {IGNORE} for pixels to ignore"
        raise Faulty(f"number {unknown[0]} in it; accepted: {accepted}")
    picture = _read_image(image)
    (height, width), enlarged = numbers.shape, max(picture.size) / max(numbers.shape)
    if abs(width * enlarged - picture.width) > 1 or abs(height * enlarged - picture.height) > 1:
        raise Faulty(f"{width} x {height} pixels on an image of {picture.width} x {picture.height}")
    mask = np.where(numbers == IGNORE, IGNORE, classes[np.minimum(numbers, len(classes) - 1)]).astype(np.uint8)
    return LabelledImage(picture, mask, [])


def _read_image(source: Path | bytes) -> Image.Image:
    try:
        return read_rgb(source)
    except ValueError as error:
        raise Faulty(f"image {getattr(source, 'name', '(embedded)')} {error}") from error


def labelled_row(id: str, image: np.ndarray, mask: np.ndarray) -> dict:
    """A row of `SCHEMA` from uint8 RGB (S, S, 3) and class ids, uint8 (S, S)."""
    return {
        "id": id,
        "image": {"bytes": encode_jpeg(image), "path": f"{id}.jpg"},
        "mask": {"bytes": encode_mask(mask), "path": f"{id}.png"},
    }


def split(
    rows: Sequence[dict], leaders: Mapping[str, str], settings: LabelsConfig, seed: int
) -> dict[Part, list[dict]]:
    """The rows of each part; a row's part depends on the seed and on the id that `leaders` gives for its own, alone.

    Raises `UserError` for an empty part.
    """
    parts: dict[Part, list[dict]] = {"train": [], "validation": [], "test": []}
    for row in rows:
        parts[part(leaders[row["id"]], f"labels-{seed}", settings.validation, settings.test)].append(row)
    empty = [name for name, members in parts.items() if not members]
    if empty:
        raise UserError(
            f"labels.validation {settings.validation:g} and labels.test {settings.test:g} leave no portrait for "
            f"{empty[0]} out of {len(rows)} labelled; accepted: shares or a seed that give each part at least one"
        )
    log.info("labelled portraits: %s", ", ".join(f"{len(members)} {name}" for name, members in parts.items()))
    return parts


def near_duplicates_of(rows: Sequence[dict]) -> dict[str, str]:
    """For the id of each row, in the order of shards, the first id among its near-duplicates and theirs."""
    pairs = near_duplicates(decode_image(row["image"]["bytes"]) for row in rows)
    first = splits.leaders([row["id"] for row in rows], pairs)
    if following := [id for id, leader in first.items() if id != leader]:
        log.info("near-duplicates of others, and on their side: %s", ", ".join(following))
    return first


def show_labels(rows: Sequence[dict], examples: int = 12) -> Image.Image:
    """A picture of examples spread evenly over the rows: portraits, masks in color, and both together."""
    chosen = [rows[i] for i in np.unique(np.linspace(0, len(rows) - 1, examples).astype(int))]
    images = [decode_image(row["image"]["bytes"]) for row in chosen]
    masks = [decode_mask(row["mask"]["bytes"]) for row in chosen]
    overlays = [overlay(image, mask) for image, mask in zip(images, masks, strict=True)]
    grid = [images, [colorize(mask) for mask in masks], overlays]
    return image_grid(grid, [row["id"][:16] for row in chosen], ["portrait", "mask", "both"])
