"""GauGAN: a SPADE generator and multi-scale PatchGAN discriminators.

Source: Park et al. 2019, "Semantic Image Synthesis with Spatially-Adaptive Normalization"
(https://arxiv.org/abs/1903.07291): equation 1 and figure 2 (SPADE), figure 4 (residual block), appendix A (networks).
The discriminators are those of pix2pixHD (Wang et al. 2018, https://arxiv.org/abs/1711.11585).
"""

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize

from facemill.data.classes import CLASSES, IGNORE
from facemill.networks.spade_neighborhoods import Neighborhoods, neighborhoods

BOTTOM = 4
"""Least width of the generator's first feature map."""

BLOCKS = 7
"""Most residual blocks, as in the paper: above 256 pixels of width the first feature map is larger."""


class Preset(NamedTuple):
    """The channels of the networks."""

    width: int
    """of the generator at full size"""
    hidden: int
    """inside a SPADE modulation"""
    discriminator: int
    """after the discriminators' first convolution"""


PRESETS = {
    "tiny": Preset(4, 8, 8),
    "small": Preset(16, 16, 24),
    "medium": Preset(16, 32, 24),
    "large": Preset(32, 64, 48),
    "paper": Preset(64, 128, 64),
}
"""From what two processor cores train at 64 or 128 pixels to the paper's: 92 million parameters at 512 pixels."""

SPARSE_SIDE, SPARSE_HIDDEN = 64, 64
"""Side of a feature map, and hidden channels of a modulation, from which modulations are computed once for each
distinct label neighborhood; below, finding and looking them up takes longer than the convolutions."""


def one_hot(masks: Tensor, classes: int = len(CLASSES)) -> Tensor:
    """Class ids (B, H, W) to float32 (B, classes, H, W); ignored pixels are zero in every class."""
    known = masks != IGNORE
    return (F.one_hot(masks.long().where(known, 0), classes) * known[..., None]).permute(0, 3, 1, 2).float()


class Spade(nn.Module):
    """Spatially-adaptive normalization (equation 1): batch norm, then scale and shift computed from the mask."""

    def __init__(self, channels: int, classes: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.shared = nn.Sequential(nn.Conv2d(classes, hidden, 3, padding=1), nn.ReLU(inplace=True))
        self.scale_shift = nn.Conv2d(hidden, 2 * channels, 3, padding=1)

    def forward(self, x: Tensor, mask: Tensor | Neighborhoods) -> Tensor:
        factor, shift = self.modulation(mask)
        return torch.addcmul(shift, self.norm(x) if self.training else x, factor)

    def modulation(self, mask: Tensor | Neighborhoods) -> tuple[Tensor, Tensor]:
        """What x is multiplied by and what is added, each (B, channels, H, W): the same from a one-hot mask and from
        its neighborhoods. In evaluation they hold the norm too, which is then a constant."""
        weight, (scale, shift) = self.scale_shift.weight, self.scale_shift.bias.chunk(2)
        bias = torch.cat([1 + scale, shift])
        if not self.training:
            weight, bias = self._with_norm(weight.flatten(1)).view_as(weight), self._with_norm(bias[:, None])[:, 0]
        if isinstance(mask, Tensor):
            return F.conv2d(self.shared(mask), weight, bias, padding=1).chunk(2, 1)
        convolution, relu = self.shared
        seen = relu(F.conv2d(mask.one_hot, convolution.weight, convolution.bias)) * mask.inside
        values = F.linear(seen.flatten(1), weight.flatten(1), bias)  # a convolution that fits once has a slow gradient
        factor, shift = (F.embedding(mask.index, half).permute(0, 3, 1, 2) for half in values.chunk(2, 1))
        return factor, shift

    def _with_norm(self, weights: Tensor) -> Tensor:
        """(2 * channels, K) from which factor and shift of the normed x follow, made to give those of x itself."""
        factor, shift = weights.chunk(2)
        factor = factor * (self.norm.running_var + self.norm.eps).rsqrt()[:, None]
        return torch.cat([factor, shift - self.norm.running_mean[:, None] * factor])


class SpadeBlock(nn.Module):
    """Two SPADE-activation-convolution steps beside a shortcut, which has a step of its own when channels change."""

    def __init__(self, inputs: int, outputs: int, classes: int, hidden: int) -> None:
        super().__init__()
        middle = min(inputs, outputs)
        self.spade_0 = Spade(inputs, classes, hidden)
        self.conv_0 = nn.Conv2d(inputs, middle, 3, padding=1)
        self.spade_1 = Spade(middle, classes, hidden)
        self.conv_1 = nn.Conv2d(middle, outputs, 3, padding=1)
        self.changes = inputs != outputs
        if self.changes:
            self.spade_s = Spade(inputs, classes, hidden)
            self.conv_s = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor, mask: Tensor | Neighborhoods) -> Tensor:
        shortcut = self.conv_s(self.spade_s(x, mask)) if self.changes else x
        x = self.conv_0(F.leaky_relu(self.spade_0(x, mask), 0.2, inplace=True))
        return shortcut + self.conv_1(F.leaky_relu(self.spade_1(x, mask), 0.2, inplace=True))


class Generator(nn.Module):
    """Masks of class ids (B, H, W) and style codes (B, z_dim) to images (B, 3, H, W) in [-1, 1].

    H is `size`, W is `size / ratio`: a square, or twice as high as wide. `width` is the number of channels at full
    size, `hidden` that inside a SPADE modulation. `z` says where the style codes of its training came from: an encoder,
    or N(0, 1); with `none`, and a `z_dim` of 0, it starts from the mask alone (Park et al., appendix A).
    """

    def __init__(
        self,
        *,
        size: int,
        z_dim: int,
        width: int,
        hidden: int,
        ratio: Literal[1, 2] = 1,
        z: Literal["encoder", "normal", "none"] = "encoder",
        classes: int = len(CLASSES),
    ) -> None:
        super().__init__()
        self.height, self.width = size, size // ratio
        self.z, self.z_dim, self.hidden, self.classes = z, z_dim, hidden, classes
        self.ups = min(int(math.log2(self.width // BOTTOM)), BLOCKS - 1)
        channels = [width * min(2 ** (self.ups - level), 16) for level in range(self.ups + 1)]
        if z == "none":
            self.first = nn.Conv2d(classes, channels[0], 3, padding=1)
        else:
            self.first = nn.Linear(z_dim, channels[0] * (self.height >> self.ups) * (self.width >> self.ups))
        blocks = [SpadeBlock(channels[0], channels[0], classes, hidden)]
        blocks += [SpadeBlock(a, b, classes, hidden) for a, b in zip(channels, channels[1:], strict=False)]
        self.blocks = nn.ModuleList(blocks)
        self.last = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, masks: Tensor, z: Tensor) -> Tensor:
        if self.z == "none":
            x = self.first(one_hot(masks[:, :: 1 << self.ups, :: 1 << self.ups], self.classes))
        else:
            x = self.first(z).unflatten(1, (-1, self.height >> self.ups, self.width >> self.ups))
        x = x.contiguous(memory_format=torch.channels_last)
        for level, block in enumerate(self.blocks):
            x = F.interpolate(x, scale_factor=2, mode="nearest") if level else x
            x = block(x, self._seen(masks, x.shape[2]))
        return self.last(F.leaky_relu(x, 0.2)).float().tanh()

    def _seen(self, masks: Tensor, height: int) -> Tensor | Neighborhoods:
        """What a block at this height sees of the masks: their nearest pixels, one-hot or as distinct neighborhoods."""
        step = masks.shape[1] // height
        nearest = masks[:, ::step, ::step]
        sparse = height >= SPARSE_SIDE and self.hidden >= SPARSE_HIDDEN
        distinct = neighborhoods(nearest, self.classes) if sparse else None
        return distinct or one_hot(nearest, self.classes).contiguous(memory_format=torch.channels_last)


class PatchDiscriminator(nn.Module):
    """Judges overlapping patches of an image with its one-hot mask; returns every layer's features, logits last."""

    def __init__(self, width: int, classes: int, layers: int = 3) -> None:
        super().__init__()
        channels = [width * min(2**level, 8) for level in range(layers + 1)]
        steps = [nn.Sequential(nn.Conv2d(classes + 3, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2))]
        for level, (inputs, outputs) in enumerate(zip(channels, channels[1:], strict=False), 1):
            stride = 1 if level == layers else 2
            convolution = nn.Conv2d(inputs, outputs, 4, stride=stride, padding=1, bias=False)
            steps.append(nn.Sequential(convolution, nn.InstanceNorm2d(outputs), nn.LeakyReLU(0.2)))
        steps.append(nn.Sequential(nn.Conv2d(channels[-1], 1, 4, padding=1)))
        self.steps = nn.ModuleList(steps)

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        for step in self.steps:
            x = step(x)
            features.append(x)
        return features


class Discriminator(nn.Module):
    """Patch discriminators at full and at half size; returns each one's features."""

    def __init__(self, *, width: int, classes: int = len(CLASSES), scales: int = 2) -> None:
        super().__init__()
        self.scales = nn.ModuleList(PatchDiscriminator(width, classes) for _ in range(scales))

    def forward(self, images: Tensor, mask: Tensor) -> list[list[Tensor]]:
        x = torch.cat([images, mask], 1).contiguous(memory_format=torch.channels_last)
        features = []
        for scale in self.scales:
            features.append(scale(x))
            x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
        return features


def add_spectral_norm(network: nn.Module) -> None:
    """Spectral norm (Miyato et al. 2018) on the convolutions of the main paths, as in the paper: not in modulations."""
    inside = {id(m) for spade in network.modules() if isinstance(spade, Spade) for m in spade.modules()}
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.out_channels > 3 and id(module) not in inside:
            parametrizations.spectral_norm(module)


def remove_spectral_norm(network: nn.Module) -> None:
    """Bakes the spectral norm into plain weights."""
    for module in list(network.modules()):
        if parametrize.is_parametrized(module):
            parametrize.remove_parametrizations(module, "weight")


def hinge_loss_discriminator(real: list[list[Tensor]], fake: list[list[Tensor]]) -> Tensor:
    """Hinge loss of the discriminators (Lim and Ye 2017, https://arxiv.org/abs/1705.02894), mean over scales."""
    losses = [F.relu(1 - r[-1]).mean() + F.relu(1 + f[-1]).mean() for r, f in zip(real, fake, strict=True)]
    return torch.stack(losses).mean() / 2


def hinge_loss_generator(fake: list[list[Tensor]]) -> Tensor:
    """The generator's side of the hinge loss: minus the mean logit, mean over scales."""
    return -torch.stack([f[-1].mean() for f in fake]).mean()


def feature_matching_loss(real: list[list[Tensor]], fake: list[list[Tensor]]) -> Tensor:
    """L1 between the discriminators' features of real and generated images (Wang et al. 2018, eq. 3); no logits."""
    pairs = [pair for rs, fs in zip(real, fake, strict=True) for pair in zip(rs[:-1], fs[:-1], strict=True)]
    return torch.stack([F.l1_loss(f, r.detach()) for r, f in pairs]).sum() / len(real)
