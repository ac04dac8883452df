"""The distinct label neighborhoods of masks: all that a SPADE modulation depends on, computed once for each.

A modulation is two 3x3 convolutions of the one-hot mask (Park et al. 2019, figure 2), so its value at a pixel depends
on the 5x5 labels around it alone, and on the image's border. Real masks have few distinct neighborhoods: one for a
hundred pixels at 512 px, one for eight at 128 px.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

SIDE = 5
"""Receptive field of two 3x3 convolutions."""


@dataclass(frozen=True)
class Neighborhoods:
    """The distinct neighborhoods of masks (B, H, W), and the index of each pixel's.

    Attributes:
        one_hot: float32 (U, classes, 5, 5), zero where a label is ignored or outside the image.
        inside: float32 (U, 1, 3, 3), 1 where the inner pixels lie in the image.
        index: int64 (B, H, W), from 0 to U - 1.
    """

    one_hot: Tensor
    inside: Tensor
    index: Tensor

    @cached_property
    def sorted_pixels(self) -> tuple[Tensor, Tensor]:
        """The pixels' numbers in the order of their neighborhoods, and where each begins: int64 (B * H * W,), (U,)."""
        order = torch.sort(self.index.flatten(), stable=True)
        return order.indices, torch.searchsorted(order.values, torch.arange(len(self.one_hot)))


def neighborhoods(masks: Tensor, classes: int) -> Neighborhoods | None:
    """The distinct neighborhoods of masks (B, H, W) of class ids; ids of `classes` or more are ignored pixels.

    None for noise: where there is more than one neighborhood for two pixels, or codes would not fit into 63 bits.
    """
    base, outside = classes + 2, classes + 1
    labels = F.pad(masks.long().clamp(max=classes), (SIDE // 2,) * 4, value=outside)
    height, width = masks.shape[1:]
    row_codes, rank = _distinct(_number([labels[:, :, i : i + width] for i in range(SIDE)], base))
    if len(row_codes) ** SIDE >= 2**63:
        return None
    distinct, index = _distinct(_number([rank[:, i : i + height] for i in range(SIDE)], len(row_codes)))
    if 2 * len(distinct) > index.numel():
        return None
    patches = _digits(row_codes[_digits(distinct, len(row_codes))], base)
    one_hot = F.one_hot(patches, base)[..., :classes].permute(0, 3, 1, 2).float()
    return Neighborhoods(one_hot, (patches[:, None, 1:-1, 1:-1] != outside).float(), index)


def _distinct(codes: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct codes, sorted, and the index of each code among them; runs are joined first, to sort fewer."""
    runs, run = torch.unique_consecutive(codes, return_inverse=True)
    distinct, index = torch.unique(runs, return_inverse=True)
    return distinct, index[run]


def _number(digits: Sequence[Tensor], base: int) -> Tensor:
    """Numbers of digits, lowest first."""
    return torch.stack([digit * base**i for i, digit in enumerate(digits)]).sum(0)


def _digits(codes: Tensor, base: int) -> Tensor:
    """The digits of numbers (...), lowest first: (..., SIDE)."""
    return torch.stack([codes // base**i % base for i in range(SIDE)], -1)
