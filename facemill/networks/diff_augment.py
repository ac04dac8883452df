"""Differentiable augmentation: what the discriminators see of small collections, real and painted portraits alike.

Source: Zhao et al. 2020 (https://arxiv.org/abs/2006.10738): color, translation by up to an eighth of the size, and
cutout of a quarter of the area. The mask that a portrait is judged with moves, and is cut, with it.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


class DiffAugment:
    """One draw of random changes for a batch: the same for all images that it is called with.

    Real and painted portraits must be changed alike, since feature matching compares them pixel by pixel.
    """

    def __init__(self, batch: int, height: int, width: int, device: torch.device) -> None:
        self.brightness, self.saturation, self.contrast = torch.rand(3, batch, 1, 1, 1, device=device)
        self.most = [round(side / 8) for side in (height, width)]
        self.places = [torch.randint(0, 2 * most + 1, (batch,)).tolist() for most in self.most]
        kept = torch.ones(batch, 1, height, width)
        for one in kept:
            top, left = (int(torch.randint(-side // 4, side - side // 4, ())) for side in (height, width))
            one[:, max(top, 0) : top + height // 2, max(left, 0) : left + width // 2] = 0
        self.kept = kept.to(device)

    def __call__(self, images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, 3, H, W) in [-1, 1] and one-hot masks (B, classes, H, W), both changed."""
        images = images + self.brightness - 0.5
        gray = images.mean(1, keepdim=True)
        images = gray + (images - gray) * 2 * self.saturation
        mean = images.mean((1, 2, 3), keepdim=True)
        images = mean + (images - mean) * (self.contrast + 0.5)
        return self._moved(images), self._moved(masks)

    def _moved(self, x: Tensor) -> Tensor:
        """Translated, with zeros where nothing was, and cut."""
        (most_y, most_x), (height, width) = self.most, x.shape[2:]
        padded = F.pad(x, (most_x, most_x, most_y, most_y))
        moved = [one[:, y : y + height, x : x + width] for one, y, x in zip(padded, *self.places, strict=True)]
        return torch.stack(moved) * self.kept
