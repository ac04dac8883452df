"""The distinct label neighborhoods of masks: all that a SPADE modulation can see, computed once for each.

A modulation is two 3x3 convolutions of the one-hot mask (Park et al. 2019, figure 2), so its value at a pixel depends
on the 5x5 labels around it alone, and on where the image ends. Real masks are made of few such neighborhoods: one in
a hundred pixels has a new one at 512 px, one in eight at 128 px.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

SIDE = 5
"""What two 3x3 convolutions see."""


@dataclass(frozen=True)
class Neighborhoods:
    """The distinct neighborhoods of masks (B, H, W), and the one that each pixel has.

    `one_hot` is float32 (U, classes, 5, 5), zero where a label is ignored or outside; `inside` is float32 (U, 1, 3, 3):
    whether the inner pixels lie in the image; `index` is int64 (B, H, W), from 0 to U - 1.
    """

    one_hot: Tensor
    inside: Tensor
    index: Tensor


def neighborhoods(masks: Tensor, classes: int) -> Neighborhoods | None:
    """The neighborhoods of masks (B, H, W) of class ids; an id of `classes` or more has no class (ignored).

    None where the masks are noise: where most pixels have a neighborhood of their own, or codes would not fit 63 bits.
    """
    base, outside = classes + 2, classes + 1
    labels = F.pad(masks.long().clamp(max=classes), (SIDE // 2,) * 4, value=outside)
    (_, height, width) = masks.shape
    rows = sum(labels[:, :, i : i + width] * base**i for i in range(SIDE))
    present = torch.zeros(base**SIDE, dtype=torch.bool, device=masks.device)
    present[rows.flatten()] = True
    kinds = present.nonzero().flatten()
    if len(kinds) ** SIDE >= 2**63:
        return None
    rank = (present.cumsum(0) - 1)[rows]
    codes = sum(rank[:, i : i + height] * len(kinds) ** i for i in range(SIDE))
    runs, run = torch.unique_consecutive(codes, return_inverse=True)  # fewer by far than pixels, which would be sorted
    distinct, index = torch.unique(runs, return_inverse=True)
    index = index[run]
    if 2 * len(distinct) > index.numel():
        return None
    patches = _digits(kinds[_digits(distinct, len(kinds))], base)
    encoded = F.one_hot(patches, base)[..., :classes].permute(0, 3, 1, 2).float()
    return Neighborhoods(encoded, (patches[:, None, 1:-1, 1:-1] != outside).float(), index)


def _digits(codes: Tensor, base: int) -> Tensor:
    return torch.stack([codes // base**i % base for i in range(SIDE)], -1)
