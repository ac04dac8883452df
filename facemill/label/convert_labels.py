"""Rule `convert_labels`: label files to class masks, checked and split."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from facemill.config.ingest import CropPlace, DetectorConfig, IndexMasksConfig
from facemill.config.label import LabelsConfig
from facemill.data.classes import ClassTable
from facemill.data.shards import decode_image, decode_mask, write_shard
from facemill.data.splits import Split, labels_split_of, other_shares
from facemill.errors import UserError
from facemill.files import atomic_write
from facemill.imaging.figures import colorize, image_grid, overlay, save_picture
from facemill.ingest.crop_place import placing
from facemill.label.label_files import index_mask_files, labelme_files
from facemill.label.labelled_rows import SCHEMA, duplicate_groups, labelled_rows
from facemill.label.page import labels_page
from facemill.log import log


def convert_labels(
    *,
    labelled: Path | None = None,
    mask_images: Path | None = None,
    masks: Path | None = None,
    classes: ClassTable,
    settings: LabelsConfig,
    size: int,
    ratio: float = 1,
    crop: CropPlace = "middle",
    detector: DetectorConfig | None = None,
    seed: int,
    threads: int = 1,
    train: Path,
    validation: Path,
    test: Path,
    page: Path,
    picture: Path,
) -> None:
    """Converts labelme files and index masks to class masks, and splits the labelled portraits.

    All errors of all files are listed before anything is written.

    Args:
        labelled: folder of labelme JSON files with their images beside them.
        mask_images: folder of the images of `masks`.
        masks: folder of index masks, PNG files of the indices of labels.
        classes: section `classes` of the config, as JSON.
        settings: section `labels` of the config, as JSON.
        size: height of portraits and masks, in pixels.
        ratio: height : width.
        crop: place of the portraits in images of another aspect, as in the collection: middle, top or face.
        detector: section `portraits.detector` of the config, as JSON, where `crop` is face.
        seed: of the split.
        threads: files read at a time.
        train: training split, Parquet with columns id, image, mask.
        validation: validation split, with the same columns.
        test: test split, with the same columns.
        page: HTML of overlays, areas and warnings, outliers first.
        picture: PNG with examples.
    """
    sources = labelme_files(labelled, settings, classes) if labelled else []
    if masks and mask_images:
        sources += index_mask_files(IndexMasksConfig(images=mask_images, masks=masks), settings, classes)
    rows, warnings = labelled_rows(sources, classes, size, ratio, threads, placing(crop, ratio, detector))
    representatives = duplicate_groups(rows)
    splits = split_rows(rows, representatives, settings, seed)
    paths: dict[Split, Path] = {"train": train, "validation": validation, "test": test}
    for name, path in paths.items():
        write_shard(path, splits[name], SCHEMA, classes)
    split_by_id = {row["id"]: name for name, members in splits.items() for row in members}
    with atomic_write(page) as tmp:
        tmp.write_text(labels_page(rows, classes, split_by_id, warnings, representatives))
    save_picture(show_labels(rows, classes), picture)


def split_rows(
    rows: Sequence[dict[str, Any]], representatives: Mapping[str, str], settings: LabelsConfig, seed: int
) -> dict[Split, list[dict[str, Any]]]:
    """The rows of each split. Near-duplicates share a split: it depends on the seed and the representative's id alone.

    Raises `UserError` when a split is empty.
    """
    splits: dict[Split, list[dict[str, Any]]] = {"train": [], "validation": [], "test": []}
    for row in rows:
        name = labels_split_of(representatives[row["id"]], seed, settings.validation, settings.test)
        splits[name].append(row)
    empty = [name for name, members in splits.items() if not members]
    if empty:
        raise UserError(
            f"labels.validation {settings.validation:g} and labels.test {settings.test:g} leave no portrait for "
            f"{empty[0]} out of {len(rows)} labelled; accepted: "
            f"{other_shares(representatives.values(), seed, settings.validation, settings.test)}"
        )
    log.info("labelled portraits: %s", ", ".join(f"{len(members)} {name}" for name, members in splits.items()))
    return splits


def show_labels(rows: Sequence[dict[str, Any]], classes: ClassTable, examples: int = 12) -> Image.Image:
    """A picture of examples spaced evenly over the rows: portraits, masks in color, and overlays of both."""
    chosen = [rows[i] for i in np.unique(np.linspace(0, len(rows) - 1, examples).astype(int))]
    images = [decode_image(row["image"]["bytes"]) for row in chosen]
    masks = [decode_mask(row["mask"]["bytes"], classes) for row in chosen]
    overlays = [overlay(image, mask, classes) for image, mask in zip(images, masks, strict=True)]
    grid = [images, [colorize(mask, classes) for mask in masks], overlays]
    return image_grid(grid, [row["id"][:16] for row in chosen], ["portrait", "mask", "both"])
