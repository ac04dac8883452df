"""Labelled portraits: labelme's fine labels merged into classes, image and mask at one size, split into parts."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image, ImageOps

from facemill.classes import CLASSES, IGNORE
from facemill.command import log, progress
from facemill.config import Labels
from facemill.errors import BadInput
from facemill.figures import colorize, image_grid, overlay
from facemill.label import labelme
from facemill.portrait import read_rgb
from facemill.shards import IMAGE, decode_image, decode_mask, encode_jpeg, encode_mask, order_of
from facemill.splits import Part, part

SCHEMA = pa.schema([("id", pa.string()), ("image", IMAGE), ("mask", IMAGE)])
"""The columns of labelled portraits: the image a JPEG, the mask a palette PNG of the same size."""


def class_ids(settings: Labels) -> dict[str, int]:
    """The class id that each labelme label becomes; `IGNORE` for those that are left out."""
    merged = {label: CLASSES.index(name) for name, labels in settings.merge.items() for label in labels}
    return merged | dict.fromkeys(settings.ignore, IGNORE)


def labelled_portraits(folder: Path, settings: Labels, size: int) -> list[dict]:
    """Rows of `SCHEMA`, in the order of shards, for all labelme files in a folder and its subfolders.

    The id is the file's stem. Masks are drawn at the image's own size; image and mask are then cropped and resized
    alike to `size`. Pixels without a label are background. Raises `BadInput` with every fault of every file.
    """
    files = sorted(folder.rglob("*.json"))
    if not files:
        raise BadInput(f"{folder}: found no labelme file; accepted: NAME.json files, each with its image beside it")
    ids, rows, faults, bad = class_ids(settings), {}, [], 0
    for path in progress(files, "labelme files to masks", len(files)):
        row, found = _convert(path, ids, size)
        if path.stem in rows:
            found.append(f"id {path.stem!r} is taken by another file; names must differ across folders")
        rows[path.stem] = row
        if found:
            bad += 1
            faults += [f"{path.relative_to(folder)}: {fault}" for fault in found]
    if bad:
        raise BadInput("\n  ".join([f"{folder}: faults in {bad} of {len(files)} labelme files", *faults]))
    return [rows[id] for id in sorted(rows, key=order_of)]


def _convert(path: Path, ids: dict[str, int], size: int) -> tuple[dict | None, list[str]]:
    """The row of one labelme file and its faults; None when there is any."""
    annotation, faults = labelme.read(path)
    if annotation is None:
        return None, faults
    source = labelme.find_image(path, annotation)
    if source is None:
        return None, [f"no image at imagePath {annotation.image_path!r}, nor embedded, nor named {path.stem}"]
    try:
        picture = read_rgb(source)
    except ValueError as error:
        return None, [f"image {getattr(source, 'name', '(embedded)')} {error}"]
    shape = (picture.height, picture.width)
    faults = list(labelme.faults(annotation, shape, ids))
    if faults:
        return None, faults
    mask = Image.fromarray(labelme.draw(annotation.shapes, shape, ids))
    # both cut and resized as `ingest.portraits.load_portrait` does, so that a U-Net meets the pixels it was trained on
    image = ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS)
    mask = ImageOps.fit(mask, (size, size), Image.Resampling.NEAREST)
    return labelled_row(path.stem, np.asarray(image), np.asarray(mask)), []


def labelled_row(id: str, image: np.ndarray, mask: np.ndarray) -> dict:
    """A row of `SCHEMA` from uint8 RGB (S, S, 3) and class ids, uint8 (S, S)."""
    return {
        "id": id,
        "image": {"bytes": encode_jpeg(image), "path": f"{id}.jpg"},
        "mask": {"bytes": encode_mask(mask), "path": f"{id}.png"},
    }


def split(rows: Sequence[dict], settings: Labels, seed: int) -> dict[Part, list[dict]]:
    """The rows of each part; a row's part depends on its id and the seed alone. Raises `BadInput` for an empty part."""
    parts: dict[Part, list[dict]] = {"train": [], "validation": [], "test": []}
    for row in rows:
        parts[part(row["id"], f"labels-{seed}", settings.validation, settings.test)].append(row)
    empty = [name for name, members in parts.items() if not members]
    if empty:
        raise BadInput(
            f"labels.validation {settings.validation:g} and labels.test {settings.test:g} leave no portrait for "
            f"{empty[0]} out of {len(rows)} labelled; accepted: shares or a seed that give each part at least one"
        )
    log.info("labelled portraits: %s", ", ".join(f"{len(members)} {name}" for name, members in parts.items()))
    return parts


def show_labels(rows: Sequence[dict], examples: int = 12) -> Image.Image:
    """A picture of examples spread evenly over the rows: portraits, masks in colour, and both together."""
    chosen = [rows[i] for i in np.unique(np.linspace(0, len(rows) - 1, examples).astype(int))]
    images = [decode_image(row["image"]["bytes"]) for row in chosen]
    masks = [decode_mask(row["mask"]["bytes"]) for row in chosen]
    overlays = [overlay(image, mask) for image, mask in zip(images, masks, strict=True)]
    grid = [images, [colorize(mask) for mask in masks], overlays]
    return image_grid(grid, [row["id"][:16] for row in chosen], ["portrait", "mask", "both"])
