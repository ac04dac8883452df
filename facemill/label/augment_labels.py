"""Rule `augment_labels`: randomly warped copies of labelled portraits, the same bytes for the same seed."""
# ruff: noqa: E402  (what Albumentations does when it is imported is set first)

import os
import random
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else it asks the internet for its newest version
sys.modules.setdefault("albumentations.pytorch", None)  # type: ignore[arg-type]  # else it imports PyTorch

import albumentations as A
import cv2
import numpy as np
from PIL import Image

from facemill.config.label import AugmentConfig
from facemill.data.classes import ClassTable
from facemill.data.shards import decode_image, decode_mask, mask_classes, read_rows, write_shard
from facemill.data.splits import hash_fraction
from facemill.imaging.figures import image_grid, overlay, save_picture
from facemill.label.labelled_rows import SCHEMA, labelled_row
from facemill.log import progress

GRID = 4
"""Cells of the grid distortion along each side."""

ELASTIC_SIGMA = 0.1
"""The Gaussian's standard deviation in the elastic transform, as a share of the size."""

BORDER = {"border_mode": cv2.BORDER_REFLECT_101}
SAMPLING = {"interpolation": cv2.INTER_CUBIC, "mask_interpolation": cv2.INTER_NEAREST}


def augment_labels(
    *,
    labels: Path,
    validation: Path,
    settings: AugmentConfig,
    seed: int,
    threads: int = 1,
    augmented: Path,
    augmented_validation: Path,
    picture: Path,
) -> None:
    """Makes randomly warped copies of labelled portraits, each image together with its mask.

    Args:
        labels: training split of the labelled portraits, Parquet with columns id, image, mask.
        validation: validation split, for trainings whose length needs no validation any more.
        settings: section `augment` of the config, as JSON.
        seed: of all transforms; the same seed makes the same bytes.
        threads: portraits augmented at a time.
        augmented: the copies of the training split without the originals, Parquet with the same columns.
        augmented_validation: those of the validation split.
        picture: PNG with some training portraits and their copies.
    """
    classes = mask_classes([labels, validation])
    for split, product in (validation, augmented_validation), (labels, augmented):
        originals = list(read_rows([split]))
        copies = augment_rows(originals, classes, settings, seed, threads)
        write_shard(product, copies, SCHEMA, classes)
    save_picture(show_copies(originals, copies, classes), picture)


def transforms(settings: AugmentConfig, size: int) -> A.Compose:
    """The random transforms of a portrait of height `size`, in the order in which they are applied.

    Half the copies are warped, elastically or by a grid: each resampling costs sharpness in the image and smoothness in
    the mask.
    """
    steps: list[A.BasicTransform | A.BaseCompose] = [
        A.HorizontalFlip(p=0.5),
        A.Affine(
            rotate=(-settings.rotation, settings.rotation),
            scale=(1 - settings.scale, 1 + settings.scale),
            keep_ratio=True,
            p=1,
            **SAMPLING,
            **BORDER,
        ),
    ]
    if settings.warp:
        steps.append(A.OneOf([_elastic(settings.warp, size), _grid(settings.warp)], p=0.5))
    if settings.color:
        steps.append(_color(settings.color))
    return A.Compose(steps)


def _elastic(warp: float, size: int) -> A.ElasticTransform:
    """Displacements with a standard deviation of `warp / 2` of the size in either direction, so most are below `warp`.

    Uniform noise in [-1, 1] has the deviation 1 / sqrt(3); a Gaussian of width sigma divides it by 2 sigma sqrt(pi).
    """
    sigma = ELASTIC_SIGMA * size
    alpha = warp / 2 * size * np.sqrt(3) * 2 * sigma * np.sqrt(np.pi)
    return A.ElasticTransform(alpha=alpha, sigma=sigma, noise_distribution="uniform", **SAMPLING, **BORDER)


def _grid(warp: float) -> A.GridDistortion:
    """Grid lines moved by up to about `warp` of the size: each cell grows or shrinks by that share of the size."""
    limit = min(warp * GRID, 0.9)
    return A.GridDistortion(num_steps=GRID, distort_limit=(-limit, limit), **SAMPLING, **BORDER)


def _color(strength: float) -> A.ColorJitter:
    """Brightness, contrast and saturation changed by up to half, hue by up to a tenth of the circle, at strength 1."""
    factor = (1 - 0.5 * strength, 1 + 0.5 * strength)
    return A.ColorJitter(factor, factor, factor, (-0.1 * strength, 0.1 * strength), p=1)


def augment_row(row: dict[str, Any], classes: ClassTable, settings: AugmentConfig, seed: int) -> list[dict[str, Any]]:
    """The `settings.copies` augmented copies of a labelled portrait, as rows with the ids `{id}-00`, `{id}-01`, ...

    A copy depends on the portrait, its image's id, the settings, the seed and its number alone.
    """
    image, mask = decode_image(row["image"]["bytes"]), decode_mask(row["mask"]["bytes"], classes)
    augment = transforms(settings, image.shape[0])
    rows = []
    for copy in range(settings.copies):
        state = int(hash_fraction(row["id"], f"augment-{seed}-{copy}") * 2**53)
        # one stream for all transforms; `set_random_seed` would start each on the same numbers
        augment.set_random_state(np.random.default_rng(state), random.Random(state))
        result = augment(image=image, mask=mask)
        rows.append(labelled_row(f"{row['id']}-{copy:02}", result["image"], result["mask"], classes))
    return rows


def augment_rows(
    rows: Sequence[dict[str, Any]], classes: ClassTable, settings: AugmentConfig, seed: int, threads: int = 1
) -> list[dict[str, Any]]:
    """The copies of all rows: the first copy of each row, then the second copies, ...

    So any run of rows shows every portrait: a training shuffles within a window of rows. The number of threads changes
    nothing. Nearly all of the work is OpenCV's, which releases the interpreter's lock and shall start no threads.
    """
    cv2.setNumThreads(1)
    with ThreadPoolExecutor(threads) as pool:
        copies_of_rows = pool.map(lambda row: augment_row(row, classes, settings, seed), rows)
        total = len(rows) * settings.copies
        copies = list(progress(copies_of_rows, "augmented copies", total, step=settings.copies))
    return [copy for turn in zip(*copies, strict=True) for copy in turn]


def show_copies(
    originals: Sequence[dict[str, Any]],
    copies: Sequence[dict[str, Any]],
    classes: ClassTable,
    columns: int = 8,
    portraits: int = 3,
) -> Image.Image:
    """A picture of some portraits: the original and its first copies, and under these their overlays with the masks."""
    grid = []
    for index in np.unique(np.linspace(0, len(originals) - 1, portraits).astype(int)):
        rows = [originals[index], *copies[index :: len(originals)][:columns]]
        images = [decode_image(row["image"]["bytes"]) for row in rows]
        masks = [decode_mask(row["mask"]["bytes"], classes) for row in rows]
        grid += [images, [overlay(image, mask, classes) for image, mask in zip(images, masks, strict=True)]]
    return image_grid(grid, ["original", *(f"copy {copy:02}" for copy in range(len(grid[0]) - 1))])
