"""Random warps of labelled portraits: image and mask together, the same for the same seed on any machine."""

import os
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask the network for its newest version

import albumentations as A
import cv2
import numpy as np
from PIL import Image

from facemill.config.label import AugmentConfig
from facemill.data.shards import decode_image, decode_mask
from facemill.data.splits import hash_fraction
from facemill.imaging.figures import image_grid, overlay
from facemill.label.convert_labels import labelled_row
from facemill.log import progress

GRID = 4
"""Cells of the grid warp along each side."""

ELASTIC_SCALE = 0.1
"""Width of the elastic warp's waves (the Gaussian's sigma), as a share of the size."""

BORDER = {"border_mode": cv2.BORDER_REFLECT_101}
SAMPLING = {"interpolation": cv2.INTER_CUBIC, "mask_interpolation": cv2.INTER_NEAREST}


def pipeline(settings: AugmentConfig, size: int) -> A.Compose:
    """The random changes of a portrait of size x size, in the order in which they are made.

    Half the copies are warped, elastically or by a grid: each resampling costs sharpness in the image and smoothness in
    the mask.
    """
    changes = [
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
        changes.append(A.OneOf([_elastic(settings.warp, size), _grid(settings.warp)], p=0.5))
    if settings.color:
        changes.append(_color(settings.color))
    return A.Compose(changes)


def _elastic(warp: float, size: int) -> A.ElasticTransform:
    """Displacements with a standard deviation of `warp / 2` of the size in either direction, so most are below `warp`.

    Uniform noise in [-1, 1] has the deviation 1 / sqrt(3); a Gaussian of width sigma divides it by 2 sigma sqrt(pi).
    """
    sigma = ELASTIC_SCALE * size
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


def copies(row: dict, settings: AugmentConfig, seed: int) -> list[dict]:
    """`settings.copies` changed copies of a labelled portrait, as rows with ids `{id}-00` and on.

    A copy depends on the portrait, the settings, the seed and its number alone.
    """
    image, mask = decode_image(row["image"]["bytes"]), decode_mask(row["mask"]["bytes"])
    changes = pipeline(settings, image.shape[0])
    rows = []
    for copy in range(settings.copies):
        state = int(hash_fraction(row["id"], f"augment-{seed}-{copy}") * 2**53)
        # one stream for all changes; `set_random_seed` would start each on the same numbers
        changes.set_random_state(np.random.default_rng(state), random.Random(state))
        changed = changes(image=image, mask=mask)
        rows.append(labelled_row(f"{row['id']}-{copy:02}", changed["image"], changed["mask"]))
    return rows


def augmented(rows: Sequence[dict], settings: AugmentConfig, seed: int, threads: int = 1) -> list[dict]:
    """The first changed copies of all rows, then the second ones, and on; the same for any number of threads.

    So any stretch of them shows every portrait: a training shuffles one stretch at a time.
    Nearly all of the work is OpenCV's, which lets other threads run; it splits none of it among threads of its own.
    """
    cv2.setNumThreads(1)
    with ThreadPoolExecutor(threads) as pool:
        made = pool.map(lambda row: copies(row, settings, seed), rows)
        total = len(rows) * settings.copies
        each = list(progress(made, "warped copies", total, step=settings.copies))
    return [copy for turn in zip(*each, strict=True) for copy in turn]


def show_copies(
    originals: Sequence[dict], augmented: Sequence[dict], shown: int = 8, portraits: int = 3
) -> Image.Image:
    """A picture of some portraits: the original and its first copies, below them the same under their masks."""
    grid = []
    for place in np.unique(np.linspace(0, len(originals) - 1, portraits).astype(int)):
        rows = [originals[place], *augmented[place :: len(originals)][:shown]]
        images = [decode_image(row["image"]["bytes"]) for row in rows]
        masks = [decode_mask(row["mask"]["bytes"]) for row in rows]
        grid += [images, [overlay(image, mask) for image, mask in zip(images, masks, strict=True)]]
    return image_grid(grid, ["original", *(f"copy {copy:02}" for copy in range(len(grid[0]) - 1))])
