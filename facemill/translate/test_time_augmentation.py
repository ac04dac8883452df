"""Test-time augmentation (TTA): the mean of translations of slightly moved images, which is steadier than one."""

from typing import Protocol

import numpy as np

from facemill.networks.resnet_generator import MULTIPLE

MOVES = ((0, 0), (2, 2), (1, 3), (3, 1))
"""Pixels down and to the right by which copies are moved: all four places on the coarse grid, in both ways."""


class Translates(Protocol):
    """A translator: CycleGAN's, or through masks."""

    size: int
    """Height in pixels of the portraits that it knows."""

    def translate(self, images: np.ndarray) -> np.ndarray:
        """Translations, uint8 RGB (n, h, w, 3), of images of that type and shape."""


def translate_augmented(translator: Translates, images: np.ndarray, tta: int) -> np.ndarray:
    """The mean of the translations of each image, moved by the first `tta` of `MOVES`.

    The network works at a quarter of the size: what it paints depends on where an edge lies on that grid of four
    pixels, and flickers as the edge moves. The mean over places on the grid hardly depends on it.

    Args:
        translator: translates images of any size.
        images: uint8 RGB (N, H, W, 3), sides multiples of `MULTIPLE`.
        tta: 1 to 4; with 1 this is the translation itself.

    Returns:
        uint8 RGB (N, H, W, 3).
    """
    if tta == 1:
        return translator.translate(images)
    height, width = images.shape[1:3]
    total = np.zeros(images.shape, np.uint16)
    for down, right in MOVES[:tta]:
        around = ((0, 0), (down, MULTIPLE - down), (right, MULTIPLE - right), (0, 0))
        moved = translator.translate(np.pad(images, around, "symmetric"))
        total += moved[:, down : down + height, right : right + width]
    return ((total + tta // 2) // tta).astype(np.uint8)
