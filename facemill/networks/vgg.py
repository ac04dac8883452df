"""The features of a VGG16 trained on ImageNet, and LPIPS, a distance in them.

Sources: the layers and weights of the perceptual loss (`perceptual.py`) are those of pix2pixHD (Wang et al. 2018,
https://arxiv.org/abs/1711.11585), there with VGG19; LPIPS is that of Zhang et al. 2018
(https://arxiv.org/abs/1801.03924, equation 1).
"""

from collections.abc import Collection
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facemill.networks.imagenet import IMAGENET_MEAN, IMAGENET_STD
from facemill.networks.store import load_tensors

PLAN: tuple[int | Literal["pool"], ...] = (
    *(64, 64, "pool"),
    *(128, 128, "pool"),
    *(256, 256, 256, "pool"),
    *(512, 512, 512, "pool"),
    *(512, 512, 512),
)
"""Channels of VGG16's convolutions, each followed by a ReLU, and its poolings."""

LOSS_TAPS = {1: 1 / 32, 6: 1 / 16, 11: 1 / 8, 18: 1 / 4, 25: 1.0}
"""Weights in the perceptual loss of relu1_1, relu2_1, relu3_1, relu4_1, relu5_1, by their index in `features`."""

LPIPS_TAPS = (3, 8, 15, 22, 29)
"""Indices of relu1_2, relu2_2, relu3_3, relu4_3, relu5_3."""


class Vgg16(nn.Module):
    """Images (B, 3, H, W) in [-1, 1] to the features after the layers `taps`."""

    mean: Tensor
    std: Tensor

    def __init__(self, weights: Path, taps: Collection[int]) -> None:
        """A frozen VGG16 as far as the last tap.

        Args:
            weights: a safetensors file with torchvision's `features.*` keys.
            taps: indices of layers in torchvision's `features`.

        Raises:
            UserError: The file is not safetensors, or lacks a tensor.
        """
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for step in PLAN:
            if step == "pool":
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Conv2d(channels, step, 3, padding=1), nn.ReLU(inplace=True)]
                channels = step
        self.taps = tuple(taps)
        self.features = nn.Sequential(*layers[: max(taps) + 1])
        self.load_state_dict(_load(weights, self.state_dict()))
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> list[Tensor]:
        x = ((images + 1) / 2 - self.mean) / self.std
        features = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self.taps:
                features.append(x.float())
        return features


def _load(weights: Path, names: Collection[str]) -> dict[str, Tensor]:
    return load_tensors(weights, names, key="gaugan.vgg_weights", accepted="torchvision's VGG16")


class Lpips(nn.Module):
    """LPIPS between images (B, 3, H, W) in [-1, 1]: (B,)."""

    def __init__(self, weights: Path) -> None:
        """A frozen LPIPS.

        Args:
            weights: a safetensors file with torchvision's `features.*` keys, and LPIPS's heads `lpips.0.weight` to
                `lpips.4.weight`.

        Raises:
            UserError: The file is not safetensors, or lacks a tensor.
        """
        super().__init__()
        self.vgg = Vgg16(weights, LPIPS_TAPS)
        names = [f"lpips.{i}.weight" for i in range(len(LPIPS_TAPS))]
        self.heads = nn.ParameterList(_load(weights, names).values()).requires_grad_(False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        distance = torch.zeros(len(a), device=a.device)
        for x, y, head in zip(self.vgg(a), self.vgg(b), self.heads, strict=True):
            distance = distance + F.conv2d((F.normalize(x) - F.normalize(y)) ** 2, head).mean((1, 2, 3))
        return distance
