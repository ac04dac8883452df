"""Differentiable augmentation (DiffAugment) of real and generated portraits, for GANs of few training images.

Source: Zhao et al. 2020 (https://arxiv.org/abs/2006.10738): color, translation by up to an eighth of the size, and
cutout of a quarter of the area. A portrait's mask is translated and cut out like the portrait.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


class DiffAugment:
    """Random parameters for each image of a batch, the same in every call.

    Feature matching compares real and generated portraits pixel by pixel, so both need the same augmentation.
    """

    def __init__(self, batch: int, height: int, width: int, device: torch.device) -> None:
        self.brightness, self.saturation, self.contrast = torch.rand(3, batch, 1, 1, 1, device=device)
        self.max_shifts = [round(side / 8) for side in (height, width)]
        self.offsets = [torch.randint(0, 2 * shift + 1, (batch,)).tolist() for shift in self.max_shifts]
        cutout = torch.ones(batch, 1, height, width)
        for image in cutout:
            top, left = (int(torch.randint(-side // 4, side - side // 4, ())) for side in (height, width))
            image[:, max(top, 0) : top + height // 2, max(left, 0) : left + width // 2] = 0
        self.cutout = cutout.to(device)

    def __call__(self, images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, 3, H, W) in [-1, 1] and one-hot masks (B, classes, H, W), both augmented."""
        images = images + self.brightness - 0.5
        gray = images.mean(1, keepdim=True)
        images = gray + (images - gray) * 2 * self.saturation
        mean = images.mean((1, 2, 3), keepdim=True)
        images = mean + (images - mean) * (self.contrast + 0.5)
        return self._translate_and_cut(images), self._translate_and_cut(masks)

    def _translate_and_cut(self, images: Tensor) -> Tensor:
        (shift_y, shift_x), (height, width) = self.max_shifts, images.shape[2:]
        padded = F.pad(images, (shift_x, shift_x, shift_y, shift_y))
        crops = [image[:, y : y + height, x : x + width] for image, y, x in zip(padded, *self.offsets, strict=True)]
        return torch.stack(crops) * self.cutout
