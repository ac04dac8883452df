"""Smaller portraits: pixels are averaged, by the same rounding in training, translation and evaluation."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from facemill.errors import UserError


def shrunk(pixels: Tensor, height: int, source: Any) -> Tensor:
    """Portraits at a height that divides theirs.

    Args:
        pixels: uint8 (B, 3, H, W).
        height: in pixels.
        source: names them where they cannot be shrunk.

    Returns:
        uint8 (B, 3, h, w).

    Raises:
        UserError: Their height is not a multiple of that one.
    """
    factor, rest = divmod(pixels.shape[2], height)
    if rest or not factor:
        raise UserError(
            f"{source}: portraits of {pixels.shape[2]} pixels; accepted: a multiple of {height}, cyclegan.size"
        )
    return averaged(pixels, height, pixels.shape[3] // factor)


def averaged(pixels: Tensor, height: int, width: int) -> Tensor:
    """Images, uint8 (B, 3, H, W), at a smaller size: means of areas, halves rounded to even."""
    if pixels.shape[2:] == (height, width):
        return pixels
    return F.interpolate(pixels.float(), (height, width), mode="area").round().to(torch.uint8)
