"""Pictures of what GauGAN paints from held-out masks."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from facemill.data.dataset import ShardDataset
from facemill.imaging.figures import colorize, image_grid
from facemill.inference.painter import Painter
from facemill.inference.segmenter import Segmenter

GRID_SIDE = 8
"""Masks, and styles, of the grid; rows of the best and the worst."""


def style_grid(painter: Painter, rows: ShardDataset, z: Tensor, seed: int) -> Image.Image:
    """A picture of some of the masks by some of the styles, codes (N, z_dim), of rows that a seed chooses."""
    shown = np.random.default_rng(seed).permutation(len(rows))[: 2 * GRID_SIDE]
    pixels, masks = (torch.stack(tensors) for tensors in zip(*(rows[i] for i in shown), strict=True))
    indices = range(len(shown))
    return painter.style_grid(pixels, masks, z[shown], indices[:GRID_SIDE], indices[-GRID_SIDE:])


def best_and_worst(
    painter: Painter,
    segmenter: Segmenter,
    rows: ShardDataset,
    codes: Tensor,
    references: np.ndarray | None,
    mious: np.ndarray,
) -> Image.Image:
    """The painted portraits of the highest re-segmentation mIoU, and beside them those of the lowest, worst first.

    No mask is shown twice on either side: of its K portraits the best or the worst counts.

    Args:
        painter: the generator.
        segmenter: the U-Net that judges.
        rows: the N masks, with their portraits.
        codes: style codes (N, K, z_dim).
        references: which of the rows each style is from, (N, K); None where it is from none.
        mious: the mIoU of each painted portrait, (N, K).
    """
    sides = []
    for order, choose in ((-1, np.nanargmax), (1, np.nanargmin)):
        of_mask = [(mask, int(choose(values))) for mask, values in enumerate(mious) if not np.isnan(values).all()]
        ranked = sorted(of_mask, key=lambda place: order * mious[place])[:GRID_SIDE]
        sides.append([_row(painter, segmenter, rows, codes, references, place) for place in ranked])
    columns = ["its portrait", "mask", "style", "painted", "re-segmented"]
    captions = (f"best: {columns[0]}", *columns[1:], f"worst: {columns[0]}", *columns[1:])
    return image_grid([[*best, *worst] for best, worst in zip(*sides, strict=True)], captions)


def _row(
    painter: Painter,
    segmenter: Segmenter,
    rows: ShardDataset,
    codes: Tensor,
    references: np.ndarray | None,
    place: tuple[int, int],
) -> list[np.ndarray | None]:
    pixels, mask = rows[place[0]]
    painted = painter.generate(mask[None], codes[place][None])
    style = None if references is None else _to_array(rows[int(references[place])][0])
    seen = segmenter.masks(painted)[0]
    return [
        _to_array(pixels),
        colorize(mask.numpy(), painter.classes),
        style,
        painted[0],
        colorize(seen, painter.classes),
    ]


def _to_array(pixels: Tensor) -> np.ndarray:
    return pixels.permute(1, 2, 0).numpy()
