"""Nearest enlargement and a 3x3 convolution in one: a transposed convolution of the small map.

Each pixel of the small map is four of the enlarged one, so that of the nine weights three at most are summed: 16
products a small pixel instead of 36, and no enlarged map. The same but for rounding.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

LEAST_SIDE = 8
"""Side of the small map from which that is faster in training; below, the kernels are larger than the maps."""


def pays(x: Tensor, training: bool) -> bool:
    """Whether `enlarged_conv` is faster than its two steps: in training, on the CPU, for maps that are large enough."""
    return training and x.device.type == "cpu" and x.shape[2] >= LEAST_SIDE


def enlarged_conv(x: Tensor, weight: Tensor) -> Tensor:
    """Maps (B, I, H, W) enlarged by nearest pixels and convolved by weights (O, I, 3, 3): (B, O, 2H, 2W)."""
    flipped = weight.flip(2, 3).transpose(0, 1)
    kernel = torch.stack([F.pad(flipped, (i, 1 - i, j, 1 - j)) for j in (0, 1) for i in (0, 1)]).sum(0)
    return F.conv_transpose2d(x, kernel, stride=2, padding=1)
