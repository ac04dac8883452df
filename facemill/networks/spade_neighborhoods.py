"""The distinct label neighborhoods of masks: all that a SPADE modulation depends on, computed once for each.

A modulation is two 3x3 convolutions of the one-hot mask (Park et al. 2019, figure 2), so its value at a pixel depends
on the 5x5 labels around it alone, and on the image's border. Real masks have few distinct neighborhoods: one for a
hundred pixels at 512 px, one for eight at 128 px.
"""

from dataclasses import dataclass

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


def neighborhoods(masks: Tensor, classes: int) -> Neighborhoods | None:
    """The distinct neighborhoods of masks (B, H, W) of class ids; ids of `classes` or more are ignored pixels.

    None for noise: where there is more than one neighborhood for two pixels, or codes would not fit into 63 bits.
    """
    base, outside = classes + 2, classes + 1
    labels = F.pad(masks.long().clamp(max=classes), (SIDE // 2,) * 4, value=outside)
    (_, height, width) = masks.shape
    rows = torch.stack([labels[:, :, i : i + width] * base**i for i in range(SIDE)]).sum(0)
    present = torch.zeros(base**SIDE, dtype=torch.bool, device=masks.device)
    present[rows.flatten()] = True
    row_codes = present.nonzero().flatten()
    if len(row_codes) ** SIDE >= 2**63:
        return None
    rank = (present.cumsum(0) - 1)[rows]
    codes = sum(rank[:, i : i + height] * len(row_codes) ** i for i in range(SIDE))
    runs, run = torch.unique_consecutive(codes, return_inverse=True)  # far fewer than pixels to sort
    distinct, index = torch.unique(runs, return_inverse=True)
    index = index[run]
    if 2 * len(distinct) > index.numel():
        return None
    patches = _digits(row_codes[_digits(distinct, len(row_codes))], base)
    one_hot = F.one_hot(patches, base)[..., :classes].permute(0, 3, 1, 2).float()
    return Neighborhoods(one_hot, (patches[:, None, 1:-1, 1:-1] != outside).float(), index)


def _digits(codes: Tensor, base: int) -> Tensor:
    """The `SIDE` digits of numbers (...) to a base, lowest first: (..., SIDE)."""
    return torch.stack([codes // base**i % base for i in range(SIDE)], -1)
