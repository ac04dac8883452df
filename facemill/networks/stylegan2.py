"""StyleGAN2's generator in its skip form: a mapping network, then convolutions that a style modulates.

Sources: Karras et al. 2019 (https://arxiv.org/abs/1812.04948) for the mapping network, styles, mixing and truncation;
Karras et al. 2020 (https://arxiv.org/abs/1912.04958), equations 1 to 3 and figure 7, for modulation and skips.

Zero insertion with the papers' filter [1, 3, 3, 1] is bilinear enlargement, but at the edges, where the papers' images
fade to zero.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facemill.networks.style_layers import MappingNetwork, ModulatedConv, ToRgb, enlarged

BASE_RESOLUTION = 4
"""Width of the generator's constant, and of the discriminator's last feature map."""

MEAN_STYLES = 10_000
"""Codes z of which w's mean is computed, for truncation."""


class Preset(NamedTuple):
    """Sizes of both networks."""

    base: int
    """channels at a side of r pixels: base / r,"""
    most: int
    """but no more than this"""
    z_dim: int
    """dimensions of z"""
    w_dim: int
    """dimensions of w, a style"""
    mapping: int
    """layers of the mapping network"""

    def channels(self, width: int) -> list[int]:
        """Channels of each level, from `BASE_RESOLUTION` to images of `width` pixels."""
        levels = int(math.log2(width // BASE_RESOLUTION)) + 1
        return [min(self.most, max(1, self.base // (BASE_RESOLUTION << level))) for level in range(levels)]


PRESETS = {
    "tiny": Preset(128, 16, 16, 16, 1),
    "small": Preset(512, 64, 64, 128, 2),
    "medium": Preset(1024, 128, 64, 128, 2),
    "large": Preset(2048, 256, 128, 256, 2),
    "wide": Preset(8192, 512, 256, 512, 4),
    "paper": Preset(16384, 512, 512, 512, 8),
}
"""From what two processor cores train at 64 pixels to the paper's."""


class Level(nn.Module):
    """The layers at one resolution: convolutions, the first on enlarged maps but for the lowest level, and RGB."""

    def __init__(self, inputs: int, outputs: int, w_dim: int, noise: bool, lowest: bool, colors: int = 3) -> None:
        super().__init__()
        widths = [inputs, outputs] if lowest else [inputs, outputs, outputs]
        self.lowest, self.layers = lowest, len(widths) - 1
        self.convs = nn.ModuleList(
            ModulatedConv(a, b, w_dim, noise, enlarges=not (lowest or i)) for i, (a, b) in enumerate(pairwise(widths))
        )
        self.to_rgb = ToRgb(outputs, w_dim, colors)

    def forward(
        self, x: Tensor, image: Tensor, styles: Tensor, noise: Sequence[Tensor | None]
    ) -> tuple[Tensor, Tensor]:
        """Feature maps and image of this level.

        Args:
            x: feature maps of the level below.
            image: that of the level below; at the lowest there is none, and any tensor will do.
            styles: (B, layers + 1, w_dim), that of RGB last.
            noise: of each convolution, or None.
        """
        for layer, conv in enumerate(self.convs):
            x = conv(x, styles[:, layer], noise[layer])
        rgb = self.to_rgb(x, styles[:, self.layers])
        return x, rgb if self.lowest else enlarged(image) + rgb


class StyleGenerator(nn.Module):
    """Codes z to styles w (`map`), and styles to images, float32 (B, 3, H, W), mostly in [-1, 1] (`synthesize`).

    Attributes:
        z_dim: dimensions of z.
        layers: styles of an image: one for each convolution, and one for the last RGB.
        conditions: names that can be asked for, by group; each group has one more slot, for no name.
        w_mean: mean of w, float32 (w_dim,), around which styles are truncated; of a finished model.
        combinations: slots of the groups in the training's portraits, int64 (C, groups).
        shares: the share of each combination, float32 (C,).
    """

    w_mean: Tensor
    combinations: Tensor
    shares: Tensor

    def __init__(
        self,
        *,
        height: int,
        ratio: int = 1,
        channels: Sequence[int],
        z_dim: int,
        w_dim: int,
        mapping: int,
        noise: bool = False,
        conditions: Mapping[str, Sequence[str]] | None = None,
        combinations: int = 1,
        colors: int = 3,
    ) -> None:
        """A generator with random weights.

        Args:
            height: of the images, in pixels.
            ratio: height : width.
            channels: channels of each level, from `BASE_RESOLUTION` to the images' width.
            z_dim: dimensions of z.
            w_dim: dimensions of w.
            mapping: layers of the mapping network.
            noise: whether noise is added after each convolution, of a strength that is learned.
            conditions: names that can be asked for, by group.
            combinations: distinct combinations of names in the training's portraits; 1 without conditions.
            colors: channels of the images.
        """
        super().__init__()
        self.height, self.width, self.z_dim, self.w_dim = height, height // ratio, z_dim, w_dim
        self.conditions = {group: list(names) for group, names in (conditions or {}).items()}
        self.slots = [len(names) + 1 for names in self.conditions.values()]
        self.mapping = MappingNetwork(z_dim, w_dim, mapping, sum(self.slots))
        self.constant = nn.Parameter(torch.randn(1, channels[0], BASE_RESOLUTION * ratio, BASE_RESOLUTION))
        pairs = pairwise([channels[0], *channels])
        self.levels = nn.ModuleList(Level(a, b, w_dim, noise, i == 0, colors) for i, (a, b) in enumerate(pairs))
        self.convs_per_level = [1] + [2] * (len(channels) - 1)
        self.layers = sum(self.convs_per_level) + 1
        self.register_buffer("w_mean", torch.zeros(w_dim))
        self.register_buffer("combinations", torch.zeros((combinations, len(self.slots)), dtype=torch.int64))
        self.register_buffer("shares", torch.ones(combinations))

    def condition(self, slots: Tensor) -> Tensor | None:
        """Slots, int64 (B, groups), as one-hot vectors, float32 (B, sum of slots); None without conditions."""
        if not self.slots:
            return None
        slots = slots.to(self.constant.device)
        groups = [F.one_hot(slot, size) for slot, size in zip(slots.unbind(1), self.slots, strict=True)]
        return torch.cat(groups, 1).float()

    def draw_slots(self, count: int, random: torch.Generator) -> Tensor:
        """Slots for `count` images, int64 (count, groups), in the shares of the training's portraits; on the CPU."""
        return self.combinations.cpu()[torch.multinomial(self.shares.cpu(), count, replacement=True, generator=random)]

    def map(self, z: Tensor, condition: Tensor | None = None, ramp: float = 1) -> Tensor:
        """Styles w, float32 (B, w_dim), of codes z (B, z_dim) and one-hot conditions (B, sum of slots)."""
        w: Tensor = self.mapping(z, condition, ramp)
        return w

    def synthesize(self, styles: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """Images (B, 3, H, W) of styles.

        Args:
            styles: (B, w_dim), the same in all layers, or (B, layers, w_dim).
            noise: for each convolution (B, 1, h, w), as `draw_noise` makes it; none is added without.
        """
        if styles.dim() == 2:
            styles = styles[:, None].expand(-1, self.layers, -1)
        x = self.constant.expand(len(styles), -1, -1, -1).contiguous(memory_format=torch.channels_last)
        image = torch.empty(0)
        start = 0
        for level, layers in zip(self.levels, self.convs_per_level, strict=True):
            end = start + layers
            x, image = level(x, image, styles[:, start : end + 1], noise[start:end] if noise else [None] * layers)
            start = end
        return image

    def forward(
        self,
        z: Tensor,
        condition: Tensor | None = None,
        ramp: float = 1,
        second: Tensor | None = None,
        crossover: int = 0,
        noise: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """Images of codes z; from layer `crossover` on in the styles of the codes `second`: style mixing."""
        styles = self.map(z, condition, ramp)
        if second is not None:
            mixed = torch.stack([styles, self.map(second, condition, ramp)], 1)
            index = (torch.arange(self.layers, device=z.device) >= crossover).long()
            styles = mixed[:, index]
        return self.synthesize(styles, noise)

    def truncated(self, w: Tensor, psi: float, center: Tensor | None = None) -> Tensor:
        """Styles (B, w_dim) at the share `psi` of their way from a center, the mean of w (Karras et al. 2019, B)."""
        center = self.w_mean if center is None else center
        return center + psi * (w - center)

    def draw_noise(self, count: int, generator: torch.Generator | None = None) -> list[Tensor]:
        """Noise of each convolution for `count` images, N(0, 1), on the CPU where a generator is given."""
        device = self.constant.device if generator is None else torch.device("cpu")
        return [
            torch.randn((count, 1, *side), generator=generator, device=device).to(self.constant.device)
            for side in self.sides()
        ]

    def sides(self) -> list[tuple[int, int]]:
        """Height and width of the maps of each convolution."""
        height, width = self.constant.shape[2:]
        return [(height << i, width << i) for i, convs in enumerate(self.convs_per_level) for _ in range(convs)]
