"""The perceptual loss: distance in the features of a VGG16 that was trained on ImageNet.

Source: Johnson et al. 2016 (https://arxiv.org/abs/1603.08155); layers and weights as in pix2pixHD (Wang et al. 2018,
https://arxiv.org/abs/1711.11585), there with VGG19.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from facemill.errors import BadInput
from facemill.segment.unet import IMAGENET_MEAN, IMAGENET_STD

PLAN = (64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool", 512, 512, 512, "pool", 512)
"""VGG16's convolutions as far as relu5_1."""
TAPS = {1: 1 / 32, 6: 1 / 16, 11: 1 / 8, 18: 1 / 4, 25: 1.0}
"""Weights of relu1_1, relu2_1, relu3_1, relu4_1, relu5_1, by their place in torchvision's `features`."""


class PerceptualLoss(nn.Module):
    """Weighted L1 between VGG16 features of images (B, 3, H, W) in [-1, 1]; gradients reach the first argument only.

    `weights`: a safetensors file with torchvision's `features.*` keys. Raises `BadInput` when it does not fit.
    """

    def __init__(self, weights: Path) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for step in PLAN:
            if step == "pool":
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Conv2d(channels, step, 3, padding=1), nn.ReLU()]
                channels = step
        self.features = nn.Sequential(*layers)
        wanted = self.state_dict()
        state = {name: tensor.float() for name, tensor in load_file(weights).items() if name in wanted}
        if missing := wanted.keys() - state.keys():
            raise BadInput(f"gaugan.vgg_weights: {weights} lacks {min(missing)}; accepted: torchvision's VGG16")
        self.load_state_dict(state)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def _taps(self, images: Tensor) -> list[Tensor]:
        x = ((images + 1) / 2 - self.mean) / self.std
        found = []
        for place, layer in enumerate(self.features):
            x = layer(x)
            if place in TAPS:
                found.append(x)
        return found

    def forward(self, images: Tensor, target: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = self._taps(target)
        distances = [F.l1_loss(a.float(), b.float()) for a, b in zip(self._taps(images), wanted, strict=True)]
        return sum(weight * distance for weight, distance in zip(TAPS.values(), distances, strict=True))
