"""GauGAN's generator: residual blocks whose normalization is modulated by the mask (SPADE).

Source: Park et al. 2019, "Semantic Image Synthesis with Spatially-Adaptive Normalization"
(https://arxiv.org/abs/1903.07291): equation 1 and figure 2 (SPADE), figure 4 (residual block), appendix A (network).
"""

import math
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize

from facemill.networks.region_styles import RegionShift, of_classes
from facemill.networks.spade_fast import SPARSE_HIDDEN, SPARSE_HIDDEN_IN_TRAINING, SPARSE_SIDE, folded_spade
from facemill.networks.spade_neighborhoods import Neighborhoods, neighborhoods

BASE_RESOLUTION = 4
"""Least width of the generator's first feature map."""

MAX_BLOCKS = 7
"""Most residual blocks, as in the paper: above 256 pixels of width the first feature map is larger."""


class Preset(NamedTuple):
    """Numbers of channels, named as in the published code."""

    ngf: int
    """of the generator at full size"""
    nhidden: int
    """inside a SPADE modulation"""
    ndf: int
    """after the first convolution of the discriminators of patches"""
    segmentation_ndf: int
    """of the discriminator that segments at full size, for a step of about the same cost"""


PRESETS = {
    "tiny": Preset(4, 8, 8, 4),
    "small": Preset(16, 16, 24, 8),
    "medium": Preset(16, 32, 24, 8),
    "large": Preset(32, 64, 48, 16),
    "paper": Preset(64, 128, 64, 20),
}
"""From what two processor cores train at 64 or 128 pixels to the paper's: 92 million parameters at 512 pixels."""


def one_hot(masks: Tensor, classes: int) -> Tensor:
    """Class ids (B, H, W) to float32 (B, classes, H, W), channels last; pixels of other ids are zero in every class."""
    return (masks[..., None] == torch.arange(classes, device=masks.device)).permute(0, 3, 1, 2).float()


class Spade(nn.Module):
    """Spatially-adaptive normalization (equation 1): batch norm, scaled and shifted by gamma and beta of the mask."""

    folded = True
    """Whether equation 1 is computed as in `spade_fast.py`: with fewer operations, the same but for rounding."""

    def __init__(self, channels: int, classes: int, nhidden: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.shared = nn.Sequential(nn.Conv2d(classes, nhidden, 3, padding=1), nn.ReLU(inplace=True))
        self.scale_shift = nn.Conv2d(nhidden, 2 * channels, 3, padding=1)

    def forward(self, x: Tensor, mask: Tensor | Neighborhoods) -> Tensor:
        if self.folded:
            return folded_spade(x, mask, self.norm, self.shared, self.scale_shift)
        modulation = self.scale_shift(self.shared(mask))
        gamma, beta = modulation.repeat_interleave(len(x) // len(modulation), 0).chunk(2, 1)
        return self.norm(x) * (1 + gamma) + beta


class SpadeBlock(nn.Module):
    """Residual block (figure 4) of two SPADE-ReLU-convolution steps; the shortcut is learned when channels change."""

    def __init__(self, inputs: int, outputs: int, classes: int, nhidden: int) -> None:
        super().__init__()
        middle = min(inputs, outputs)
        self.spade_0 = Spade(inputs, classes, nhidden)
        self.conv_0 = nn.Conv2d(inputs, middle, 3, padding=1)
        self.spade_1 = Spade(middle, classes, nhidden)
        self.conv_1 = nn.Conv2d(middle, outputs, 3, padding=1)
        self.learned_shortcut = inputs != outputs
        if self.learned_shortcut:
            self.spade_s = Spade(inputs, classes, nhidden)
            self.conv_s = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor, mask: Tensor | Neighborhoods) -> Tensor:
        shortcut = self.conv_s(self.spade_s(x, mask)) if self.learned_shortcut else x
        x = self.conv_0(F.leaky_relu(self.spade_0(x, mask), 0.2, inplace=True))
        return shortcut + self.conv_1(F.leaky_relu(self.spade_1(x, mask), 0.2, inplace=True))


class Generator(nn.Module):
    """Masks of class ids (B, H, W) and style codes (B * K, z_dim) to images (B * K, 3, H, W) in [-1, 1].

    The codes are K for each mask in turn, whose modulations are computed once.

    The style codes of its training are distributed as style_mean + style_scale N(0, I), at first N(0, I) itself; both
    buffers are saved with the weights. `style_scale` is the lower Cholesky factor of their covariance. Codes by region
    (`region_styles.py`) are also added to the features of their regions before each block.
    """

    style_mean: Tensor
    style_scale: Tensor

    def __init__(
        self,
        *,
        size: int,
        z_dim: int,
        ngf: int,
        nhidden: int,
        classes: int,
        ratio: Literal[1, 2] = 1,
        z: Literal["encoder", "regions", "normal", "none"] = "encoder",
    ) -> None:
        """A generator with random weights.

        Args:
            size: height in pixels.
            z_dim: dimensions of a style code; 0 with `z="none"`.
            ngf: channels at full size.
            nhidden: channels inside a SPADE modulation.
            classes: number of classes of the masks.
            ratio: height : width, a square or twice as high as wide.
            z: where the style codes of its training come from: an encoder, the colors of regions, or N(0, 1); with
                `none` it starts from the downsampled mask alone (appendix A).
        """
        super().__init__()
        self.height, self.width = size, size // ratio
        self.z, self.z_dim, self.nhidden, self.classes = z, z_dim, nhidden, classes
        self.num_upsamplings = min(int(math.log2(self.width // BASE_RESOLUTION)), MAX_BLOCKS - 1)
        channels = [ngf * min(2 ** (self.num_upsamplings - level), 16) for level in range(self.num_upsamplings + 1)]
        self.base_height, self.base_width = self.height >> self.num_upsamplings, self.width >> self.num_upsamplings
        self.first: nn.Module
        if z == "none":
            self.first = nn.Conv2d(classes, channels[0], 3, padding=1)
        else:
            self.first = nn.Linear(z_dim, channels[0] * self.base_height * self.base_width)
        region_channels = [channels[0], *channels[:-1]] if z == "regions" else []
        self.shifts = nn.ModuleList(RegionShift(inputs) for inputs in region_channels)
        blocks = [SpadeBlock(channels[0], channels[0], classes, nhidden)]
        blocks += [SpadeBlock(a, b, classes, nhidden) for a, b in pairwise(channels)]
        self.blocks = nn.ModuleList(blocks)
        self.last = nn.Conv2d(ngf, 3, 3, padding=1)
        self.register_buffer("style_mean", torch.zeros(z_dim))
        self.register_buffer("style_scale", torch.eye(z_dim))

    def forward(self, masks: Tensor, z: Tensor) -> Tensor:
        # all before the first block: to count neighborhoods is to wait for the GPU, which has nothing else to do yet
        layouts = [self._layout_at(masks, self.base_height << level) for level in range(len(self.blocks))]
        if self.z == "none":
            step = 1 << self.num_upsamplings
            x = self.first(one_hot(masks[:, ::step, ::step], self.classes)).repeat_interleave(len(z) // len(masks), 0)
        else:
            x = self.first(z).unflatten(1, (-1, self.base_height, self.base_width))
        x = x.contiguous(memory_format=torch.channels_last)
        for level, (block, layout) in enumerate(zip(self.blocks, layouts, strict=True)):
            x = F.interpolate(x, scale_factor=2, mode="nearest") if level else x
            if self.shifts:
                step = masks.shape[1] // x.shape[2]
                x = self.shifts[level](x, of_classes(masks[:, ::step, ::step], self.classes), z)
            x = block(x, layout)
        return self.last(F.leaky_relu(x, 0.2)).float().tanh()

    @torch.no_grad()
    def set_styles(self, mean: Tensor, covariance: Tensor) -> None:
        """Sets the distribution of styles, of which random ones are drawn: mean (Z,) and covariance (Z, Z)."""
        self.style_mean.copy_(mean)
        self.style_scale.copy_(torch.linalg.cholesky(covariance))

    def _layout_at(self, masks: Tensor, height: int) -> Tensor | Neighborhoods:
        """The masks at a block's height, by nearest pixels: one-hot, or as distinct neighborhoods where these pay."""
        step = masks.shape[1] // height
        nearest = masks[:, ::step, ::step]
        trains = self.training and masks.device.type == "cpu"
        sparse = height >= SPARSE_SIDE and self.nhidden >= (SPARSE_HIDDEN_IN_TRAINING if trains else SPARSE_HIDDEN)
        distinct = neighborhoods(nearest, self.classes) if sparse else None
        return distinct or one_hot(nearest, self.classes)


class SpectralNorm(parametrizations._SpectralNorm):
    """Spectral norm of a weight (Miyato et al. 2018, https://arxiv.org/abs/1802.05957), in float32 under autocast too.

    On GPUs autocast computes matrix-vector products in bfloat16: all weights of a layer would be off by the error of
    their norm, some 1e-3, and change by it where the norm is folded into them without autocast.
    """

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            return super().forward(weight)


def add_spectral_norm(network: nn.Module) -> None:
    """Spectral norm on the convolutions of more than 3 channels outside the modulations.

    Park et al. write of all layers (section 4); their published code leaves out the modulations, the generator's first
    and last layer, and the discriminators' first and last. Here first convolutions have it too.
    """
    modulations = {id(m) for spade in network.modules() if isinstance(spade, Spade) for m in spade.modules()}
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.out_channels > 3 and id(module) not in modulations:
            parametrize.register_parametrization(module, "weight", SpectralNorm(module.weight))


def remove_spectral_norm(network: nn.Module) -> None:
    """Replaces the parametrized weights by plain ones, divided by their spectral norm."""
    for module in list(network.modules()):
        if parametrize.is_parametrized(module):
            parametrize.remove_parametrizations(module, "weight")
