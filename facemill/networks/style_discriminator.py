"""StyleGAN2's residual discriminator, plain or told what was asked for.

Sources: Karras et al. 2020 (https://arxiv.org/abs/1912.04958), figure 7 (residual blocks) and appendix B; Karras et al.
2018 (https://arxiv.org/abs/1710.10196), section 3, for the minibatch deviation; Miyato and Koyama 2018
(https://arxiv.org/abs/1802.05637), equation 4, for the projection; Odena et al. 2017
(https://arxiv.org/abs/1610.09585), section 3, for the classifiers of ACGAN. Averages over 2x2 pixels stand for the
papers' filter and stride.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facemill.config.stylegan import DEVIATION_GROUP
from facemill.networks.style_layers import GAIN, EqualLinear
from facemill.networks.stylegan2 import BASE_RESOLUTION

GROUP = DEVIATION_GROUP
"""Images of a batch among which the deviation is computed."""

Conditioning = Literal["projection", "acgan"]


class DiscriminatorOutput(NamedTuple):
    """Logits of a batch of images."""

    logits: Tensor
    """Above 0 for images taken for real ones, float32 (B,)."""
    classes: list[Tensor]
    """Of ACGAN, the logits of each group's slots, float32 (B, slots)."""


class EqualConv(nn.Module):
    """A convolution with an equalized learning rate; with a bias, if any, and `gain` on both."""

    def __init__(self, inputs: int, outputs: int, size: int, *, gain: float = 1, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.gain, self.constant, self.padding = gain, gain / math.sqrt(inputs * size**2), size // 2

    def forward(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias * self.gain
        return F.conv2d(x, self.weight * self.constant, bias, padding=self.padding)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, halving the size in between, and a 1x1 convolution beside them.

    The sum is divided by sqrt(2), which is part of both branches' constants: that of the first cancels with its gain.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = EqualConv(inputs, inputs, 3, gain=GAIN)
        self.second = EqualConv(inputs, outputs, 3)
        self.shortcut = EqualConv(inputs, outputs, 1, gain=1 / GAIN, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu_(self.first(x), 0.2)
        y = F.leaky_relu_(self.second(F.avg_pool2d(y, 2)), 0.2)
        shortcut: Tensor = self.shortcut(F.avg_pool2d(x, 2))
        return y + shortcut


class StyleDiscriminator(nn.Module):
    """Images, float32 (B, 3, H, W) in [-1, 1], to logits; B is a multiple of `GROUP`, or less than that."""

    def __init__(
        self,
        *,
        channels: Sequence[int],
        ratio: int = 1,
        slots: Sequence[int] = (),
        conditioning: Conditioning = "projection",
        colors: int = 3,
    ) -> None:
        """A discriminator with random weights.

        Args:
            channels: channels of each level, from `BASE_RESOLUTION` to the images' width.
            ratio: height : width.
            slots: number of each group's names, and one more for none; empty without conditions.
            conditioning: how conditions are told.
            colors: channels of the images.
        """
        super().__init__()
        top, bottom = channels[-1], channels[0]
        self.from_rgb = EqualConv(colors, top, 1, gain=GAIN)
        self.blocks = nn.Sequential(*(ResidualBlock(a, b) for a, b in pairwise(reversed(channels))))
        self.conv = EqualConv(bottom + 1, bottom, 3, gain=GAIN)
        self.linear = EqualLinear(bottom * ratio * BASE_RESOLUTION**2, bottom, gain=GAIN)
        self.logit = EqualLinear(bottom, 1)
        projects = bool(slots) and conditioning == "projection"
        self.embed = EqualLinear(sum(slots), bottom) if projects else None
        self.classifiers = nn.ModuleList(EqualLinear(bottom, s) for s in slots if conditioning == "acgan")

    def forward(self, images: Tensor, condition: Tensor | None = None, ramp: float = 1) -> DiscriminatorOutput:
        """Logits of images, and of ACGAN's classes.

        Args:
            images: (B, 3, H, W).
            condition: one-hot vectors, float32 (B, sum of slots), which the projection reads.
            ramp: factor of the projection.
        """
        x = F.leaky_relu_(self.from_rgb(images.contiguous(memory_format=torch.channels_last)), 0.2)
        x = with_deviation(self.blocks(x))
        x = F.leaky_relu_(self.conv(x), 0.2)
        with torch.autocast(x.device.type, enabled=False):
            features = F.leaky_relu_(self.linear(x.float().flatten(1)), 0.2)
            logits = self.logit(features)[:, 0]
            if self.embed is not None and condition is not None:
                match = (self.embed(condition) * features).sum(1) / math.sqrt(features.shape[1])
                logits = logits + ramp * match
            return DiscriminatorOutput(logits, [classifier(features) for classifier in self.classifiers])


def with_deviation(x: Tensor) -> Tensor:
    """Feature maps (B, C, h, w) with one more: the mean deviation among `GROUP` images (Karras et al. 2018, 3)."""
    batch, _, height, width = x.shape
    group = min(GROUP, batch)
    grouped = x.float().unflatten(0, (group, batch // group))
    deviation = (grouped.var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
    return torch.cat([x, deviation.to(x.dtype).repeat(group)[:, None, None, None].expand(-1, 1, height, width)], 1)
