"""The U-Nets: an encoder, MobileNetV2 or one of timm's, under one of two decoders; tokens of a transformer beside it.

Sources: Ronneberger et al. 2015 (https://arxiv.org/abs/1505.04597); Sandler et al. 2018 (MobileNetV2,
https://arxiv.org/abs/1801.04381); Odena et al. 2016, "Deconvolution and Checkerboard Artifacts"
(https://doi.org/10.23915/distill.00003), for why v3 upsamples and convolves.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facemill.networks.enlarged_conv import enlarged_conv, pays
from facemill.networks.mobilenet import MobileNetV2
from facemill.networks.timm_networks import TOKEN_CHANNELS, TimmEncoder, VitTokens

WIDTHS = {
    "tiny": (16, 16, 8, 8, 8),
    "narrow": (96, 64, 32, 24, 16),
    "wide": (256, 128, 64, 32, 16),
}
"""Presets of the decoder's channels, from the deepest level to full size; `wide`: segmentation-models-pytorch's."""

LAST_OF_STRIDE = (1, 3, 6, 13, 18)
"""The last layers of MobileNetV2 at strides 2, 4, 8, 16 and 32."""


def convolution(inputs: int, outputs: int) -> nn.Sequential:
    """3x3 convolution, batch norm, ReLU; keeps the size."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class TransposedBlock(nn.Module):
    """Doubles the size by a transposed convolution (kernel 3, stride 2: uneven overlap), then concatenates the skip."""

    def __init__(self, inputs: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.joins = skip > 0
        self.up = nn.Sequential(
            nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )
        self.outputs = outputs + skip

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.up(x)
        return torch.cat([x, skip], 1) if self.joins else x


class UpsampleBlock(nn.Module):
    """Doubles the size by interpolation, concatenates the skip, then convolves twice."""

    def __init__(self, inputs: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.convolve = nn.Sequential(convolution(inputs + skip, outputs), convolution(outputs, outputs))
        self.outputs = outputs

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        if not pays(x, self.training):
            return self.convolve(torch.cat([F.interpolate(x, scale_factor=2, mode="nearest"), skip], 1))
        first, second = self.convolve
        assert isinstance(first, nn.Sequential) and isinstance(first[0], nn.Conv2d)
        weight, skip_weight = first[0].weight.split([x.shape[1], skip.shape[1]], 1)
        return second(first[1:](enlarged_conv(x, weight) + F.conv2d(skip, skip_weight, padding=1)))


class Unet(nn.Module):
    """Images, float32 (B, 3, S, S) in [0, 1], to logits (B, classes, S, S).

    `forward` is `decode(encode(images))`; `encode` is `encode_deeper(stem(images))`.

    Attributes:
        size: side of the training portraits, to which callers resize.
        encoder: the encoder.
        tokens: a transformer's tokens, joined to the encoder's features at stride 8; None: without.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        *,
        classes: int,
        size: int,
        decoder: Literal["transposed", "upsample"],
        decoder_channels: Sequence[int],
        downscale: int = 1,
        encoder: str = "mobilenet_v2",
        vit: str | None = None,
    ) -> None:
        """A U-Net with random weights.

        Args:
            classes: number of classes.
            size: side of the training portraits, to which callers resize; a multiple of 32 times `downscale`, as
                every S is.
            decoder: `transposed` (v1, v2) or `upsample` (v3).
            decoder_channels: channels from the deepest level to full size; presets in `WIDTHS`.
            downscale: factor by which images are shrunk, and logits enlarged pixel by pixel (v1).
            encoder: `mobilenet_v2`, or timm's name of an encoder.
            vit: timm's name of a vision transformer whose tokens join the features at stride 8 (v5); None: without.
        """
        super().__init__()
        self.size, self.downscale = size, downscale
        self.encoder: MobileNetV2 | TimmEncoder = MobileNetV2() if encoder == "mobilenet_v2" else TimmEncoder(encoder)
        self.tokens = VitTokens(vit, size // downscale) if vit else None
        block: type[TransposedBlock | UpsampleBlock]
        block = TransposedBlock if decoder == "transposed" else UpsampleBlock
        channels, *skips = self.encoder.channels[::-1]
        skips[1] += TOKEN_CHANNELS if self.tokens else 0  # stride 8
        if decoder == "transposed":
            skips[-1] = 0  # the image itself, which only v3's last block joins
        blocks: list[TransposedBlock | UpsampleBlock] = []
        for skip, outputs in zip(skips, decoder_channels, strict=True):
            blocks.append(block(channels, skip, outputs))
            channels = blocks[-1].outputs
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Conv2d(channels, classes, 1)
        for name, numbers in (("mean", self.encoder.mean), ("std", self.encoder.std)):
            self.register_buffer(name, torch.tensor(numbers).view(1, 3, 1, 1), persistent=False)

    def stem(self, images: Tensor) -> list[Tensor]:
        """The normalized, downscaled images, and MobileNetV2's features at strides 2 and 4.

        In float32, under autocast too, and on a GPU not in TF32 (`device.py`): the stem is 6% of the operations, and in
        bfloat16 it alone would change the class of 0.25% of a real portrait's pixels; all other layers together change
        0.05%. The encoders of timm are in one piece: of theirs the images alone.
        """
        x = (images - self.mean) / self.std
        if self.downscale > 1:
            x = F.avg_pool2d(x, self.downscale)
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(x.device.type, enabled=False):
            return [x] if isinstance(self.encoder, TimmEncoder) else _through(self.encoder, range(4), [x])

    def encode(self, images: Tensor, grid: Tensor | None = None) -> list[Tensor]:
        """The normalized, downscaled images, and the features at strides 2, 4, 8, 16 and 32.

        Those at stride 8 end with the tokens, where there are any; `grid` is then what `tokens.grid` returns for the
        images, where that is already known.
        """
        return self.encode_deeper(self.stem(images), grid)

    def encode_deeper(self, features: list[Tensor], grid: Tensor | None = None) -> list[Tensor]:
        """The output of `stem`, and the features that come after it; `grid` as in `encode`."""
        x = features[0]
        # trained in bfloat16 on the CPU the gradient of a small U-Net has a cosine of .5 to .8 to that in float32
        mixed = torch.is_autocast_enabled(x.device.type) and (x.is_cuda or not self.training)
        with torch.autocast(x.device.type, enabled=mixed):
            if isinstance(self.encoder, TimmEncoder):
                features = [*features, *self.encoder(x)]
            else:
                features = _through(self.encoder, range(4, len(self.encoder.features)), features)
            if self.tokens:
                features[3] = torch.cat([features[3], self.tokens(x * self.std + self.mean, grid)], 1)
            return features

    def decode(self, features: list[Tensor]) -> Tensor:
        """The logits of the features that `encode` returns."""
        *skips, x = features
        for block, skip in zip(self.blocks, skips[::-1], strict=True):
            x = block(x, skip)
        logits = self.head(x)
        return F.interpolate(logits, scale_factor=self.downscale, mode="nearest") if self.downscale > 1 else logits

    def forward(self, images: Tensor, grid: Tensor | None = None) -> Tensor:
        return self.decode(self.encode(images, grid))


def _through(encoder: MobileNetV2, layers: range, features: list[Tensor]) -> list[Tensor]:
    """The features, and those of the next layers of an encoder at the strides to come."""
    features, x = list(features), features[-1]
    for index in layers:
        x = encoder.features[index](x)
        if index in LAST_OF_STRIDE:
            features.append(x)
    return features
