"""A discriminator that segments: of each pixel it tells the class, or that the image is fake.

Source: Schönfeld et al. 2021, "You Only Need Adversarial Supervision for Semantic Image Synthesis" (OASIS,
https://arxiv.org/abs/2012.04781), section 3.1: a U-Net of residual blocks with spectral norm. Here it has five levels
in place of six, and fewer channels: a step costs about as much as with the discriminators of patches.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CHANNELS = (1, 2, 4, 8, 8)
"""Channels at half the images' size, at a quarter and so on, as multiples of `ndf`."""


class ResidualBlock(nn.Module):
    """Leaky ReLU and 3x3 convolution, twice, and a 1x1 convolution beside them."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv_0 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv_1 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.conv_s = nn.Conv2d(inputs, outputs, 1, bias=False)


class DownBlock(ResidualBlock):
    """A residual block that halves the size at its end; `of_images` without the first ReLU."""

    def __init__(self, inputs: int, outputs: int, *, of_images: bool = False) -> None:
        super().__init__(inputs, outputs)
        self.of_images = of_images

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv_0(x if self.of_images else F.leaky_relu(x, 0.2))
        y = self.conv_1(F.leaky_relu(y, 0.2, inplace=True))
        shortcut: Tensor = self.conv_s(F.avg_pool2d(x, 2))
        return shortcut + F.avg_pool2d(y, 2)


class UpBlock(ResidualBlock):
    """A residual block that doubles the size at its start."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv_0(F.interpolate(F.leaky_relu(x, 0.2), scale_factor=2, mode="nearest"))
        y = self.conv_1(F.leaky_relu(y, 0.2, inplace=True))
        return F.interpolate(self.conv_s(x), scale_factor=2, mode="nearest") + y


class SegmentationDiscriminator(nn.Module):
    """Images (B, 3, H, W) in [-1, 1] to features and logits (B, classes + 1, H, W), the last of "fake".

    H and W are multiples of 32. The features are those of the encoder's blocks, at half of the size and so on; the
    logits are the last of the list.

    Attributes:
        down: the encoder's blocks.
        up: the decoder's, deepest first; all but the first get the encoder's features of their size as well.
        head: a 1x1 convolution, to have no spectral norm, which would bound the logits.
    """

    def __init__(self, *, ndf: int, classes: int) -> None:
        """A discriminator with random weights.

        Args:
            ndf: channels at full size.
            classes: number of classes of the masks.
        """
        super().__init__()
        widths = [ndf * multiple for multiple in CHANNELS]
        self.down = nn.ModuleList([DownBlock(3, widths[0], of_images=True)])
        self.down.extend(DownBlock(inputs, outputs) for inputs, outputs in pairwise(widths))
        *skips, bottom = widths
        inputs = [bottom, *(2 * width for width in reversed(skips))]
        outputs = [*reversed(skips), ndf]
        self.up = nn.ModuleList(UpBlock(*channels) for channels in zip(inputs, outputs, strict=True))
        self.head = nn.Conv2d(ndf, classes + 1, 1)

    def forward(self, images: Tensor) -> list[Tensor]:
        x = images.contiguous(memory_format=torch.channels_last)
        features = []
        for block in self.down:
            x = block(x)
            features.append(x)
        skips = features[:-1]
        for block in self.up:
            x = block(x)
            if skips:
                x = torch.cat([x, skips.pop()], 1)
        return [*features, self.head(x)]
