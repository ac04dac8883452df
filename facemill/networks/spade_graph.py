"""GauGAN's generator as a graph from bytes to bytes, of fixed shapes: for OpenVINO, ONNX and CUDA graphs.

It paints what `Generator` paints, but for rounding. Batch norm is folded once, not in each call, and there are no
distinct neighborhoods, whose number depends on the mask.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facemill.networks.spade import Generator, Spade
from facemill.networks.spade_fast import folded_weights


class GauganGraph(nn.Module):
    """`mask` and `z`, float32 (1, z_dim), to `image`; ids that no class has are unlabelled. No `z` without styles."""

    ids: Tensor

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = copy.deepcopy(generator).eval()
        for block in self.generator.blocks:
            for name, module in list(block.named_children()):
                if isinstance(module, Spade):
                    setattr(block, name, FoldedSpade(module))
        ids = torch.arange(generator.classes, dtype=torch.int32, device=generator.style_mean.device)
        self.register_buffer("ids", ids.view(1, -1, 1, 1))

    def forward(self, mask: Tensor, z: Tensor | None = None) -> Tensor:
        return as_bytes(self.signed(mask, z))

    def signed(self, mask: Tensor, z: Tensor | None = None) -> Tensor:
        """The image as `Generator` returns it: float32 (1, 3, H, W) in [-1, 1]."""
        generator = self.generator
        layout = (mask.int()[:, None] == self.ids).float()
        if z is None:
            step = 1 << generator.num_upsamplings
            x = generator.first(layout[:, :, ::step, ::step])
        else:
            x = generator.first(z).view(1, -1, generator.base_height, generator.base_width)
        for level, block in enumerate(generator.blocks):
            step = generator.height // (generator.base_height << level)
            members = layout[:, :, ::step, ::step] if step > 1 else layout
            x = F.interpolate(x, scale_factor=2, mode="nearest") if level else x
            if z is not None and generator.shifts:
                x = generator.shifts[level](x, members.permute(0, 2, 3, 1), z)
            x = block(x, members)
        return generator.last(F.leaky_relu(x, 0.2)).float().tanh()


def as_bytes(signed: Tensor) -> Tensor:
    """Images (B, 3, H, W) in [-1, 1] as uint8 RGB (B, H, W, 3)."""
    return ((signed + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1)


class FoldedSpade(nn.Module):
    """`Spade` in evaluation, whose batch norm is folded once, and not by each call, into gamma and beta."""

    def __init__(self, spade: Spade) -> None:
        super().__init__()
        weight, bias = folded_weights(spade.norm, spade.scale_shift)
        self.shared = spade.shared
        self.gamma, self.beta = map(_convolution, weight.chunk(2), bias.chunk(2))

    def forward(self, x: Tensor, layout: Tensor) -> Tensor:
        hidden = self.shared(layout)
        return x * self.gamma(hidden) + self.beta(hidden)


def _convolution(weight: Tensor, bias: Tensor) -> nn.Conv2d:
    layer = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
    layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias)
    return layer.to(memory_format=torch.channels_last)
