"""What a VGG16 that was trained on ImageNet sees: the perceptual loss, and the distance LPIPS.

Sources: the loss is that of Johnson et al. 2016 (https://arxiv.org/abs/1603.08155) with layers and weights as in
pix2pixHD (Wang et al. 2018, https://arxiv.org/abs/1711.11585), there with VGG19; LPIPS is that of Zhang et al. 2018
(https://arxiv.org/abs/1801.03924, equation 1).
"""

from collections.abc import Collection
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional as F

from facemill.errors import UserError
from facemill.networks.imagenet import IMAGENET_MEAN, IMAGENET_STD

PLAN = (64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool", 512, 512, 512, "pool", 512, 512, 512)
"""VGG16's convolutions, each followed by a ReLU."""
LOSS_TAPS = {1: 1 / 32, 6: 1 / 16, 11: 1 / 8, 18: 1 / 4, 25: 1.0}
"""Weights of relu1_1, relu2_1, relu3_1, relu4_1, relu5_1, by their place in torchvision's `features`."""
LPIPS_TAPS = (3, 8, 15, 22, 29)
"""relu1_2, relu2_2, relu3_3, relu4_3, relu5_3."""


class Vgg16(nn.Module):
    """Images (B, 3, H, W) in [-1, 1] to the features after the layers `taps`.

    `weights`: a safetensors file with torchvision's `features.*` keys. Raises `UserError` when it does not fit.
    """

    def __init__(self, weights: Path, taps: Collection[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for step in PLAN:
            if step == "pool":
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Conv2d(channels, step, 3, padding=1), nn.ReLU()]
                channels = step
        self.taps = tuple(taps)
        self.features = nn.Sequential(*layers[: max(taps) + 1])
        self.load_state_dict(tensors(weights, self.state_dict()))
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> list[Tensor]:
        x = ((images + 1) / 2 - self.mean) / self.std
        found = []
        for place, layer in enumerate(self.features):
            x = layer(x)
            if place in self.taps:
                found.append(x.float())
        return found


def tensors(
    weights: Path, names: Collection[str], key: str = "gaugan.vgg_weights", accepted: str = "torchvision's VGG16"
) -> dict[str, Tensor]:
    """The named tensors of a safetensors file, as float32. Raises `UserError` for one that it lacks."""
    with safe_open(weights, "pt") as file:
        if missing := set(names) - set(file.keys()):
            raise UserError(f"{key}: {weights} lacks {min(missing)}; accepted: {accepted}")
        return {name: file.get_tensor(name).float() for name in names}


class PerceptualLoss(nn.Module):
    """Weighted L1 between VGG16 features of images (B, 3, H, W) in [-1, 1]; gradients reach the first argument only."""

    def __init__(self, weights: Path) -> None:
        super().__init__()
        self.vgg = Vgg16(weights, LOSS_TAPS)

    def forward(self, images: Tensor, target: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = self.vgg(target)
        distances = [F.l1_loss(a, b) for a, b in zip(self.vgg(images), wanted, strict=True)]
        return sum(weight * distance for weight, distance in zip(LOSS_TAPS.values(), distances, strict=True))


class Lpips(nn.Module):
    """LPIPS between images (B, 3, H, W) in [-1, 1]: (B,). `weights` also holds its heads, `lpips.0.weight` and on."""

    def __init__(self, weights: Path) -> None:
        super().__init__()
        self.vgg = Vgg16(weights, LPIPS_TAPS)
        names = [f"lpips.{place}.weight" for place in range(len(LPIPS_TAPS))]
        self.heads = nn.ParameterList(tensors(weights, names).values()).requires_grad_(False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        pairs = zip(self.vgg(a), self.vgg(b), self.heads, strict=True)
        return sum(F.conv2d((F.normalize(x) - F.normalize(y)) ** 2, head).mean((1, 2, 3)) for x, y, head in pairs)
