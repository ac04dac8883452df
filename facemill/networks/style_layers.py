"""Layers of StyleGAN2: linear ones of an equalized learning rate, the mapping network, modulated convolutions.

Sources: Karras et al. 2018 (https://arxiv.org/abs/1710.10196), section 4.1, for the equalized learning rate; Karras et
al. 2019 (https://arxiv.org/abs/1812.04948) for the mapping network; Karras et al. 2020
(https://arxiv.org/abs/1912.04958), equations 1 to 3, for modulation.

Two things differ from what the papers print, not in the result: a modulated convolution scales its input by the style
and its output by the demodulation, so that no weights are made for each image; and the gain sqrt(2) of an activation is
part of the layer's own constants, since a leaky ReLU is positively homogeneous.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GAIN = math.sqrt(2)
"""Gain of a leaky ReLU of slope 0.2: it keeps the deviation of its input."""

MAPPING_RATE = 0.01
"""Learning rate of the mapping network, as a factor (Karras et al. 2019, appendix C)."""


class EqualLinear(nn.Module):
    """A linear layer with an equalized learning rate (Karras et al. 2018, https://arxiv.org/abs/1710.10196, 4.1).

    Weights are N(0, 1), and multiplied by a constant in each pass.

    Args:
        inputs: numbers in.
        outputs: numbers out.
        bias: initial bias.
        gain: of the output.
        rate: learning rate, as a factor.
    """

    def __init__(self, inputs: int, outputs: int, *, bias: float = 0, gain: float = 1, rate: float = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.weight_gain, self.bias_gain = gain * rate / math.sqrt(inputs), gain * rate

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.weight_gain, self.bias * self.bias_gain)


def normalize(z: Tensor) -> Tensor:
    """Codes (B, D) at length sqrt(D)."""
    return z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class MappingNetwork(nn.Module):
    """Codes z (B, z_dim), and what is asked for, to styles w (B, w_dim); in float32.

    Args:
        z_dim: dimensions of z.
        w_dim: dimensions of w.
        layers: number of layers.
        conditions: width of one-hot conditions; 0 without.
    """

    def __init__(self, z_dim: int, w_dim: int, layers: int, conditions: int) -> None:
        super().__init__()
        self.embed = EqualLinear(conditions, z_dim) if conditions else None
        widths = [z_dim * 2 if conditions else z_dim, *[w_dim] * layers]
        self.layers = nn.ModuleList(EqualLinear(a, b, gain=GAIN, rate=MAPPING_RATE) for a, b in pairwise(widths))

    def forward(self, z: Tensor, condition: Tensor | None = None, ramp: float = 1) -> Tensor:
        """Styles of codes.

        Args:
            z: codes (B, z_dim).
            condition: one-hot vectors, float32 (B, conditions).
            ramp: factor of the embedded conditions (Shahbazi et al. 2022, https://arxiv.org/abs/2201.06578).
        """
        with torch.autocast(z.device.type, enabled=False):
            x = normalize(z)
            if self.embed is not None:
                if condition is None:
                    raise ValueError("a generator with conditions needs them")
                x = torch.cat([x, ramp * normalize(self.embed(condition))], 1)
            for layer in self.layers:
                x = F.leaky_relu(layer(x), 0.2)
            return x


class ModulatedConv(nn.Module):
    """A 3x3 convolution whose weights a style scales and normalizes (equations 1 to 3), with bias and leaky ReLU.

    The weights are N(0, 1) without a constant: demodulation divides by their length.

    Args:
        inputs: channels in.
        outputs: channels out.
        w_dim: dimensions of w.
        noise: whether noise is added, of a strength that is learned.
        enlarges: whether maps are enlarged before; the style scales them while they are small.
    """

    def __init__(self, inputs: int, outputs: int, w_dim: int, noise: bool, enlarges: bool = False) -> None:
        super().__init__()
        self.enlarges = enlarges
        self.style = EqualLinear(w_dim, inputs, bias=1)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs, 1, 1))
        self.noise_strength = nn.Parameter(torch.zeros(())) if noise else None

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None = None) -> Tensor:
        """Feature maps (B, outputs, H, W), or of twice the size.

        Args:
            x: feature maps (B, inputs, H, W).
            w: styles (B, w_dim).
            noise: (B, 1, H, W) of the output's size; none is added without.
        """
        with torch.autocast(x.device.type, enabled=False):
            style = self.style(w)
            lengths = style.square() @ self.weight.square().sum((2, 3)).T
            demodulation = GAIN * (lengths + 1e-8).rsqrt()
        x = x * style.to(x.dtype)[:, :, None, None]
        y = F.conv2d(enlarged(x) if self.enlarges else x, self.weight, padding=1)
        bias = (GAIN * self.bias).to(y.dtype)
        if self.noise_strength is not None and noise is not None:
            bias = bias + (GAIN * self.noise_strength * noise).to(y.dtype)
        return F.leaky_relu_(torch.addcmul(bias, y, demodulation.to(y.dtype)[:, :, None, None]), 0.2)


class ToRgb(nn.Module):
    """A 1x1 convolution to RGB, or to other channels of an image, modulated, not demodulated."""

    def __init__(self, inputs: int, w_dim: int, outputs: int = 3) -> None:
        super().__init__()
        self.style = EqualLinear(w_dim, inputs, bias=1, gain=1 / math.sqrt(inputs))
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """An image (B, outputs, H, W) of feature maps and styles (B, w_dim)."""
        with torch.autocast(x.device.type, enabled=False):
            style = self.style(w)
        return F.conv2d(x * style.to(x.dtype)[:, :, None, None], self.weight, self.bias)


def enlarged(x: Tensor) -> Tensor:
    """Maps of twice the size, interpolated."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
