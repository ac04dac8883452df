"""The network that exchanges two people's faces: one encoder, and a decoder for each of the two.

The encoder sees both people's faces and keeps what they have in common, expression and pose; each decoder draws one of
them. What a decoder draws from the other person's code is the exchanged face. The idea was published without a paper
(https://www.alanzucconi.com/2018/03/14/introduction-to-deepfakes/).
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

Side = Literal["a", "b"]
SIDES: tuple[Side, ...] = ("a", "b")
"""Whose face a decoder draws."""


class Preset(NamedTuple):
    """Channels of the network, and the kind of its layers."""

    down: tuple[int, ...]
    """after each halving of the image"""
    code: int
    """channels of the code, where `plain`: its numbers"""
    up: tuple[int, ...]
    """after each doubling, the first of which belongs to the encoder"""
    plain: bool = False
    """5 x 5 convolutions, a code of the whole face, and pixel shuffle, without norms, in place of 4 x 4 ones, a code of
    each eighth of the side, enlargement and group norm"""


PRESETS = {
    "tiny": Preset((8, 8, 16, 16), 8, (16, 16, 8, 8)),
    "light": Preset((32, 64, 128, 128), 32, (128, 64, 32, 32)),
    "medium": Preset((64, 128, 256, 512), 64, (256, 128, 64, 64)),
    "original": Preset((128, 256, 512, 1024), 1024, (512, 256, 128, 64), plain=True),
}
"""For tests; for two processor cores; for more of them; the form and size of the first published networks, for GPUs."""

GROUPS = 8
"""Of group norm."""


class FaceSwap(nn.Module):
    """Faces of two people as one of them: images (B, 3, size, size) in [0, 1] to such images and masks.

    Args:
        preset: one of `PRESETS`.
        size: side of the images, a multiple of 16.
    """

    def __init__(self, *, preset: str, size: int) -> None:
        super().__init__()
        self.preset, self.size = preset, size
        chosen = PRESETS[preset]
        downs, ups = (_plain_down, _shuffle_up) if chosen.plain else (_down, _up)
        side = size // 2 ** len(chosen.down)
        deep, (first, *later) = chosen.down[-1], chosen.up
        middle = _flat_code(deep, side, chosen.code, first) if chosen.plain else _spatial_code(deep, chosen.code, first)
        self.encoder = nn.Sequential(
            *(downs(inputs, outputs) for inputs, outputs in zip((3, *chosen.down), chosen.down, strict=False)),
            *middle,
        )
        self.decoders = nn.ModuleDict(
            {
                name: nn.Sequential(
                    *(ups(inputs, outputs) for inputs, outputs in zip(chosen.up, later, strict=False)),
                    nn.Conv2d(later[-1], 4, 5 if chosen.plain else 3, padding="same"),
                )
                for name in SIDES
            }
        )

    def forward(self, images: Tensor, side: Side) -> Tensor:
        """What one decoder draws of faces.

        Args:
            images: float (B, 3, size, size) in [0, 1], of either person.
            side: whose face is drawn.

        Returns:
            float32 (B, 4, size, size): the colors in [0, 1], and the probability that a pixel belongs to the face.
        """
        return self.decode(self.encoder(images), side)

    def decode(self, features: Tensor, side: Side) -> Tensor:
        """What one decoder draws of the encoder's output, in float32: bfloat16 has no 256 shades near 1."""
        logits: Tensor = self.decoders[side](features)
        return torch.sigmoid(logits.float())


def _spatial_code(deep: int, code: int, first: int) -> tuple[nn.Module, ...]:
    """Layers from the smallest features to those that are decoded, by way of a code of each eighth of the side."""
    return _up(deep, first), nn.Conv2d(first, code, 1), nn.Conv2d(code, first, 1)


def _flat_code(deep: int, side: int, code: int, first: int) -> tuple[nn.Module, ...]:
    """The same by way of a code of the whole face."""
    flat = deep * side**2
    layers = nn.Flatten(), nn.Linear(flat, code), nn.Linear(code, flat), nn.Unflatten(1, (deep, side, side))
    return *layers, _shuffle_up(deep, first)


def _down(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), *_norm(outputs))


def _up(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), *_norm(outputs)
    )


def _norm(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.GroupNorm(GROUPS, channels), nn.LeakyReLU(0.1, inplace=True)


def _plain_down(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 5, 2, 2), nn.LeakyReLU(0.1, inplace=True))


def _shuffle_up(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, 4 * outputs, 3, padding=1), nn.LeakyReLU(0.1, inplace=True), nn.PixelShuffle(2)
    )
