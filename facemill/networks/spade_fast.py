"""SPADE with fewer operations: equation 1 of `spade.py`, the same but for rounding.

- The `1 +` of equation 1 is folded into the bias of the convolution that gives gamma.
- In evaluation batch norm is an affine map with constant coefficients, which fold into that convolution as well.
- Large modulations are computed once for each distinct label neighborhood (`spade_neighborhoods.py`).
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facemill.networks.spade_neighborhoods import Neighborhoods

SPARSE_SIDE, SPARSE_HIDDEN, SPARSE_HIDDEN_IN_TRAINING = 64, 64, 16
"""Side of a feature map, and hidden channels of a modulation, from which distinct neighborhoods pay: below, sorting and
indexing them takes longer than the convolutions. The last is for trainings on the CPU, which save gradients, too."""


def folded_spade(
    x: Tensor, layout: Tensor | Neighborhoods, norm: nn.BatchNorm2d, shared: nn.Sequential, scale_shift: nn.Conv2d
) -> Tensor:
    """Equation 1 by the layers of a `Spade`.

    Args:
        x: features (B, channels, H, W).
        layout: the masks, one-hot (B, classes, H, W) or as distinct neighborhoods, with the same result; one mask may
            stand for several features in turn.
        norm: batch norm without affine parameters.
        shared: convolution of the one-hot masks, and ReLU.
        scale_shift: convolution to gamma and beta.
    """
    weight, bias = folded_weights(norm, scale_shift)
    if isinstance(layout, Tensor):
        gamma, beta = F.conv2d(shared(layout), weight, bias, padding=1).chunk(2, 1)
    else:
        gamma, beta = _look_up(layout, shared, weight, bias)
    if norm.training:  # with a style for each mask
        return _Modulate.apply(norm(x), gamma, beta)
    if len(x) == len(gamma):
        return torch.addcmul(beta, x, gamma)
    of_masks = x.unflatten(0, (len(gamma), -1))  # gamma and beta are broadcast, not copied
    return torch.addcmul(beta[:, None], of_masks, gamma[:, None]).flatten(0, 1)


def folded_weights(norm: nn.BatchNorm2d, scale_shift: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """Weight and bias of the convolution that gives 1 + gamma, and beta; in evaluation with batch norm in both."""
    assert scale_shift.bias is not None
    weight, (gamma_bias, beta_bias) = scale_shift.weight, scale_shift.bias.chunk(2)
    bias = torch.cat([1 + gamma_bias, beta_bias])
    if norm.training:
        return weight, bias
    return _fold_norm(weight.flatten(1), norm).view_as(weight), _fold_norm(bias[:, None], norm)[:, 0]


def _fold_norm(weights: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """Folds batch norm into weights (2 * channels, K) of gamma and beta, so that features need not be normalized."""
    assert norm.running_mean is not None and norm.running_var is not None
    gamma, beta = weights.chunk(2)
    gamma = gamma * (norm.running_var + norm.eps).rsqrt()[:, None]
    return torch.cat([gamma, beta - norm.running_mean[:, None] * gamma])


def _look_up(layout: Neighborhoods, shared: nn.Sequential, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Gamma and beta, each (B, channels, H, W), computed for each distinct neighborhood and gathered by pixel."""
    convolution = shared[0]
    assert isinstance(convolution, nn.Conv2d)
    hidden = F.relu(F.conv2d(layout.one_hot, convolution.weight, convolution.bias)) * layout.inside
    # a matrix product: a convolution with a single output position has a slow gradient
    values = F.linear(hidden.flatten(1), weight.flatten(1), bias)
    gamma, beta = (look_up(half.contiguous(), layout).permute(0, 3, 1, 2) for half in values.chunk(2, 1))
    return gamma, beta


def look_up(table: Tensor, layout: Neighborhoods) -> Tensor:
    """The rows (U, C) of neighborhoods by pixel: (B, H, W, C)."""
    return _LookUp.apply(table, layout) if table.device.type == "cpu" else F.embedding(layout.index, table)


class _LookUp(torch.autograd.Function):
    """An embedding for the CPU, whose own gradient adds pixels one by one, and in bfloat16 rounds each sum.

    A sum of embeddings is the same gradient in a tenth of the time, and adds in float32.
    """

    @staticmethod
    def forward(ctx: Any, table: Tensor, layout: Neighborhoods) -> Tensor:
        ctx.layout = layout
        return F.embedding(layout.index, table)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        pixels, first = ctx.layout.sorted_pixels
        return F.embedding_bag(pixels, gradients[0].flatten(0, 2), first, mode="sum"), None


class _Modulate(torch.autograd.Function):
    """`gamma * x + beta`; the gradient of `torch.addcmul` takes two passes more."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        ctx.save_for_backward(x, gamma)
        return torch.addcmul(beta, x, gamma)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, gamma = ctx.saved_tensors
        return gradients[0] * gamma, gradients[0] * x, gradients[0]
