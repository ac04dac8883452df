"""A network that tells classes by their colors, in place of a trained U-Net."""

import numpy as np
import torch
from torch import nn

COLORS = np.array(
    [(0, 0, 0), (120, 60, 0), (255, 200, 0), (255, 0, 255), (0, 0, 255), (0, 120, 0), (120, 0, 0)], np.uint8
)
"""Of the classes of `SEVEN`: where two of them mix, at an edge, neither an eye nor a mouth comes of it."""


class ColorUnet(nn.Module):
    """Knows each class by its color."""

    size = 128

    def __init__(self):
        super().__init__()
        self.colors = nn.Parameter(torch.from_numpy(COLORS).float() / 255)

    def forward(self, images):
        return -200 * (images[:, None] - self.colors[None, :, :, None, None]).square().sum(2)
