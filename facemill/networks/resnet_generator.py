"""CycleGAN's generator: an image in the manner of another collection, by residual blocks at a quarter of its size.

Source: Zhu et al. 2017, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks"
(https://arxiv.org/abs/1703.10593), section 4 and appendix 7.2, after Johnson et al. 2016
(https://arxiv.org/abs/1603.08155). In place of transposed convolutions, which leave a checkerboard, the image is
enlarged and convolved (Odena et al. 2016, https://distill.pub/2016/deconv-checkerboard/).
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facemill.networks.instance_norm import InstanceNorm


class Preset(NamedTuple):
    """Channels and layers of both networks."""

    width: int
    """of the generator at full size"""
    blocks: int
    """residual blocks of the generator"""
    ndf: int
    """channels after the discriminator's first convolution"""
    layers: int
    """the discriminator's convolutions after the first that have a norm; three see 70 x 70 pixels, two 34 x 34"""


PRESETS = {
    "tiny": Preset(8, 2, 8, 1),
    "small": Preset(16, 4, 24, 2),
    "medium": Preset(32, 6, 48, 2),
    "paper": Preset(64, 6, 64, 3),
    "paper9": Preset(64, 9, 64, 3),
}
"""From what two processor cores train at 64 pixels to the paper's, with 6 blocks, or 9 for 256 pixels and more."""

MULTIPLE = 4
"""Height and width of images are multiples of it."""

WEIGHT_DEVIATION = 0.02
"""Standard deviation of the first weights (appendix 7.1)."""


class ResnetGenerator(nn.Module):
    """Translates images (B, channels, H, W) in [-1, 1] into such images.

    Args:
        width: channels at full size; four times as many at a quarter of it.
        blocks: number of residual blocks.
        channels: of the images.
    """

    def __init__(self, *, width: int, blocks: int, channels: int = 3) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_normed(ReflectedConv(channels, width, 7)),
            *_normed(ReflectedConv(width, 2 * width, 3, stride=2)),
            *_normed(ReflectedConv(2 * width, 4 * width, 3, stride=2)),
            *(ResidualBlock(4 * width) for _ in range(blocks)),
            Enlargement(),
            *_normed(ReflectedConv(4 * width, 2 * width, 3)),
            Enlargement(),
            *_normed(ReflectedConv(2 * width, width, 3)),
            ReflectedConv(width, channels, 7),
            nn.Tanh(),
        )
        self.apply(init_weights)

    def forward(self, images: Tensor) -> Tensor:
        """The translations of images (B, channels, H, W) in [-1, 1], of the same shape."""
        translated: Tensor = self.layers(images)
        return translated


class ResidualBlock(nn.Module):
    """Two convolutions with their norms, added to what goes in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_normed(ReflectedConv(channels, channels, 3)),
            ReflectedConv(channels, channels, 3),
            InstanceNorm(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class ReflectedConv(nn.Conv2d):
    """A convolution whose input is padded by reflection, in the precision in which it comes.

    Under autocast on the CPU it would be padded in float32, and enlarged, too: a tenth of a step's time.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride)

    def forward(self, x: Tensor) -> Tensor:
        border = self.kernel_size[0] // 2
        with torch.autocast(x.device.type, enabled=False):
            x = F.pad(x, (border, border, border, border), mode="reflect")
        return super().forward(x)


class Enlargement(nn.Module):
    """Twice as high and wide: each pixel becomes four."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return F.interpolate(x, scale_factor=2)


def init_weights(module: nn.Module) -> None:
    """Draws a convolution's weights from N(0, 0.02) (appendix 7.1); biases are 0."""
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0, WEIGHT_DEVIATION)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _normed(layer: ReflectedConv) -> tuple[nn.Module, nn.Module, nn.Module]:
    return layer, InstanceNorm(), nn.ReLU(inplace=True)
