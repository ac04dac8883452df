"""Two collections of made portraits whose true answers are known, and translators that are perfect, lazy or sly."""

import numpy as np
import torch

from facemill.data.classes import ROLES, SEVEN
from facemill.inference.segmenter import Segmenter
from facemill.translate.measures import Way, make_ways
from facemill.translate.sides import Collection, Side
from helpers.color_unet import COLORS, ColorUnet

SIZE = 64
OTHER = COLORS // 2 + np.array([100, 60, 20], np.uint8)
"""The colors of classes in the other collection."""


def masks(count: int, seed: int) -> np.ndarray:
    """Masks of roles with a face that has eyes, a mouth and hair around it, each in another place."""
    drawn, random = np.zeros((count, SIZE, SIZE), np.uint8), np.random.default_rng(seed)
    for mask in drawn:
        top, left = random.integers(4, 20, 2)
        height, width = random.integers(24, 34, 2)
        for role, (y, x, h, w) in {
            "hair": (-4, -4, height + 4, width + 8),
            "face": (0, 0, height, width),
            "eye": (8, 4, 4, width - 8),
            "mouth": (18, 8, 3, 8),
        }.items():
            mask[top + y : top + y + h, left + x : left + x + w] = ROLES.index(role)
        mask[56:] = ROLES.index("clothes")
    return drawn


def painted(of: np.ndarray, colors: np.ndarray, seed: int) -> np.ndarray:
    """Portraits of masks, brighter or darker by chance, the same by the same seed."""
    light = np.random.default_rng(seed).integers(-12, 12, (len(of), 1, 1, 3))
    return (colors[of].astype(int) + light).clip(0, 255).astype(np.uint8)


def collections(count: int = 24, sexes: list[str] | None = None) -> tuple[Collection, Collection]:
    """Both collections, with pairs by id; the U-Nets know the classes of each by their colors."""
    of = masks(count, 0)
    found = []
    for number, colors in enumerate((COLORS, OTHER)):
        unet = ColorUnet()
        unet.colors.data = torch.from_numpy(colors).float() / 255
        side = Side([str(i) for i in range(count)], painted(of, colors, 0), of, sexes or [""] * count)
        training = painted(masks(200, 1 + number), colors, 1 + number)
        found.append(Collection(side, training, Segmenter(unet, SEVEN)))
    return found[0], found[1]


class Grid:
    """A judge that sees the mean colors of 4 x 4 places."""

    features_name = "mean colors"

    def features(self, images: np.ndarray) -> np.ndarray:
        count, size = len(images), images.shape[1] // 4
        means: np.ndarray = images.reshape(count, 4, size, 4, size, 3).mean((2, 4)).reshape(count, -1)
        return means.astype(np.float32)


class Lazy:
    """Does nothing."""

    def translate(self, images: np.ndarray) -> np.ndarray:
        return images.copy()


class Perfect:
    """Knows the true answers of a collection's portraits; others are translated as the nearest of them."""

    def __init__(self, source: Side, target: Side) -> None:
        self.source, self.answers = source.images.astype(int), target.images

    def translate(self, images: np.ndarray) -> np.ndarray:
        return np.stack([self.answers[np.abs(self.source - image).mean((1, 2, 3)).argmin()] for image in images])


class Sly(Perfect):
    """Hides the portrait in the two lowest bits of its translation."""

    def translate(self, images: np.ndarray) -> np.ndarray:
        return super().translate(images) & 0xFC | images >> 6


class SlyBack:
    """Finds the portrait that `Sly` hid."""

    def translate(self, images: np.ndarray) -> np.ndarray:
        return ((images & 3) << 6) + 32


def ways(there, back, *, paired: bool = True, sexes: list[str] | None = None) -> dict[str, Way]:
    """Both directions by these translators; a class is called with the sides of both."""
    a, b = collections(sexes=sexes)
    made = [
        kind(*sides) if issubclass(kind, Perfect) else kind()
        for kind, sides in ((there, (a.side, b.side)), (back, (b.side, a.side)))
    ]
    return make_ways(made, (a, b), (Grid(),), paired)
