"""Variational autoencoder (VAE), whose encoder can read GauGAN's style code from an image.

Sources: Kingma and Welling 2014 (https://arxiv.org/abs/1312.6114); the encoder's architecture (convolutions of stride 2
down to 4x4, then two linear layers) is that of Park et al. 2019, appendix A (https://arxiv.org/abs/1903.07291), with
batch norm in place of instance norm, which would remove the image's overall color.
"""

import math
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facemill.networks.enlarged_conv import enlarged_conv, pays

BASE_RESOLUTION = 4
"""Side of the encoder's last and the decoder's first feature map."""


class EnlargingBlock(nn.Sequential):
    """Nearest enlargement, convolution, norm and activation; the first two in one where that is faster."""

    def forward(self, x: Tensor) -> Tensor:
        if not pays(x, self.training):
            return super().forward(x)
        _, convolution, norm, activation = self
        assert isinstance(convolution, nn.Conv2d)
        return activation(norm(enlarged_conv(x, convolution.weight)))


class Vae(nn.Module):
    """Images, float32 (B, 3, H, W) in [-1, 1], to style codes (B, z_dim) and back to images of (size, size).

    Images of another size are first resized, by averaging.
    """

    def __init__(self, *, size: int, z_dim: int, width: int) -> None:
        """A VAE with random weights.

        Args:
            size: side of its images, 4 times a power of 2.
            z_dim: dimensions of a style code.
            width: channels after the first convolution.
        """
        super().__init__()
        self.size, self.z_dim = size, z_dim
        levels = int(math.log2(size // BASE_RESOLUTION))
        channels = [3, *(width * min(2**level, 8) for level in range(levels))]
        down = [
            nn.Sequential(
                nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.LeakyReLU(0.2, inplace=True),
            )
            for inputs, outputs in pairwise(channels)
        ]
        self.down = nn.Sequential(*down)
        self.mean = nn.Linear(channels[-1] * BASE_RESOLUTION**2, z_dim)
        self.log_variance = nn.Linear(channels[-1] * BASE_RESOLUTION**2, z_dim)
        self.first = nn.Linear(z_dim, channels[-1] * BASE_RESOLUTION**2)
        up_channels = [channels[-1], *channels[-2:0:-1], width]
        up = [
            EnlargingBlock(
                nn.Upsample(scale_factor=2, mode="nearest"),
                nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.LeakyReLU(0.2, inplace=True),
            )
            for inputs, outputs in pairwise(up_channels)
        ]
        self.up = nn.Sequential(*up, nn.Conv2d(width, 3, 3, padding=1), nn.Tanh())

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z|x), each float32 (B, z_dim)."""
        x = self.last_map(images).float().flatten(1)
        with torch.autocast(x.device.type, enabled=False):
            return self.mean(x), self.log_variance(x).clamp(-20, 10)

    def last_map(self, images: Tensor) -> Tensor:
        """The encoder's last feature map, (B, C, 4, 4), of images (B, 3, H, W) in [-1, 1]."""
        return self.down(resized(images, self.size))

    def decode(self, z: Tensor) -> Tensor:
        """Images (B, 3, size, size) in [-1, 1] of style codes (B, z_dim)."""
        return self.up(self.first(z).unflatten(1, (-1, BASE_RESOLUTION, BASE_RESOLUTION)))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstructions from a sample of q(z|x), and its mean and log-variance."""
        mean, log_variance = self.encode(images)
        return self.decode(reparameterize(mean, log_variance)), mean, log_variance


def resized(images: Tensor, size: int) -> Tensor:
    """Images (B, C, H, W) as (B, C, size, size); pixels are averaged."""
    return images if images.shape[2:] == (size, size) else F.interpolate(images, size=(size, size), mode="area")


def to_signed_range(pixels: Tensor) -> Tensor:
    """uint8 pixels as float32 in [-1, 1], the range of VAE and GauGAN."""
    return pixels.float() / 127.5 - 1


def to_pixels(images: Tensor) -> np.ndarray:
    """Images (B, 3, H, W) in [-1, 1] as uint8 RGB (B, H, W, 3)."""
    return ((images.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def reparameterize(mean: Tensor, log_variance: Tensor) -> Tensor:
    """A differentiable sample of N(mean, exp(log_variance)): the reparameterization trick (section 2.4)."""
    return mean + torch.randn_like(mean) * (0.5 * log_variance).exp()


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(q(z|x) || N(0, 1)) in nats, summed over dimensions, mean over the batch (appendix B)."""
    return -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(1).mean()
