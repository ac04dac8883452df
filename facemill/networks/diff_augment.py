"""Differentiable augmentation (DiffAugment) of real and generated portraits, for GANs of few training images.

Source: Zhao et al. 2020 (https://arxiv.org/abs/2006.10738): color, translation by up to an eighth of the size, and
cutout of a quarter of the area. A portrait's mask is translated and cut out like the portrait.
"""

from collections.abc import Collection
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Augmentation = Literal["color", "translation", "cutout"]
AUGMENTATIONS: tuple[Augmentation, ...] = ("color", "translation", "cutout")


class DiffAugment:
    """Random parameters for each image of a batch, the same in every call.

    Feature matching compares real and generated portraits pixel by pixel, so both need the same augmentation. All is
    drawn and computed on the images' device, for the batch at once.

    Attributes:
        cutout: float32 (B, 1, H, W), 0 in the box that is cut out.
    """

    def __init__(
        self,
        batch: int,
        height: int,
        width: int,
        device: torch.device,
        augmentations: Collection[Augmentation] = AUGMENTATIONS,
    ) -> None:
        self.augmentations = augmentations

        def draw(low: int, high: int) -> Tensor:
            return torch.randint(low, high, (batch,), device=device)

        self.brightness, self.saturation, self.contrast = torch.rand(3, batch, 1, 1, 1, device=device)
        self.max_shifts = [round(side / 8) for side in (height, width)]
        starts = [draw(0, 2 * shift + 1)[:, None] for shift in self.max_shifts]
        y, x = (start + torch.arange(side, device=device) for start, side in zip(starts, (height, width), strict=True))
        pixels = y[:, :, None] * (width + 2 * self.max_shifts[1]) + x[:, None]
        self.sources = pixels.flatten(1)[:, None]  # where in the padded image each pixel comes from
        top, left = (draw(-side // 4, side - side // 4) for side in (height, width))
        self.cutout = (~box_masks(top, left, height // 2, width // 2, height, width))[:, None].float()

    def __call__(self, images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, 3, H, W) in [-1, 1] and one-hot masks (B, classes, H, W), both augmented."""
        return self.images(images), self._translate_and_cut(masks)

    def images(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [-1, 1], augmented."""
        if "color" in self.augmentations:
            images = images + self.brightness - 0.5
            gray = images.mean(1, keepdim=True)
            images = gray + (images - gray) * 2 * self.saturation
            mean = images.mean((1, 2, 3), keepdim=True)
            images = mean + (images - mean) * (self.contrast + 0.5)
        return self._translate_and_cut(images)

    def _translate_and_cut(self, images: Tensor) -> Tensor:
        if "translation" in self.augmentations:
            shift_y, shift_x = self.max_shifts
            padded = F.pad(images, (shift_x, shift_x, shift_y, shift_y)).flatten(2)
            images = padded.gather(2, self.sources.expand(-1, images.shape[1], -1)).view(images.shape)
        return images * self.cutout if "cutout" in self.augmentations else images


def box_masks(
    top: Tensor, left: Tensor, heights: Tensor | int, widths: Tensor | int, height: int, width: int
) -> Tensor:
    """A box in each image of a batch, which may hang over the edges: bool (B, height, width), True inside.

    Args:
        top: upper edge of each box, int64 (B,).
        left: left edge of each box, int64 (B,).
        heights: height of each box, int64 (B,), or of all.
        widths: width of each box, int64 (B,), or of all.
        height: height of the images.
        width: width of the images.
    """
    rows, columns = _between(top, heights, height), _between(left, widths, width)
    return rows[:, :, None] & columns[:, None]


def _between(start: Tensor, length: Tensor | int, side: int) -> Tensor:
    positions = torch.arange(side, device=start.device)
    return (positions >= start[:, None]) & (positions < (start + length)[:, None])
