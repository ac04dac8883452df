"""The networks as graphs from bytes to bytes, of standard operators and fixed shapes, for ONNX.

One picture a call: pixels are uint8 RGB (1, H, W, 3), masks are uint8 class ids (1, H, W).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facemill.networks.region_styles import CODE, region_sums
from facemill.networks.spade import Generator
from facemill.networks.unet import Unet
from facemill.networks.vae import Vae


class UnetGraph(nn.Module):
    """`image`, of the U-Net's size or another `width`, to `mask`, with horizontal-flip test-time augmentation (TTA).

    With `colors`, (classes, 3), `mask` holds these colors, uint8 RGB (1, S, S, 3), in place of class ids. With
    `probabilities` there is a second output: softmax of the mean logits, float32 (1, classes, S, S).
    """

    mirrored: Tensor
    colors: Tensor

    def __init__(
        self,
        unet: Unet,
        *,
        width: int | None = None,
        colors: tuple[tuple[int, ...], ...] | None = None,
        probabilities: bool = False,
    ) -> None:
        super().__init__()
        self.unet, self.colored, self.probabilities = unet, colors is not None, probabilities
        # mirrored by Gather: several runtimes have no Slice with a negative step
        self.register_buffer("mirrored", torch.arange((width or unet.size) - 1, -1, -1))
        self.register_buffer("colors", torch.tensor(colors or (), dtype=torch.uint8))

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        logits = self.logits(image)
        ids = logits.argmax(1)
        mask = self.colors.index_select(0, ids.flatten()).view(*ids.shape, 3) if self.colored else ids.to(torch.uint8)
        return (mask, logits.softmax(1)) if self.probabilities else mask

    def logits(self, image: Tensor) -> Tensor:
        """The mean logits of the image and its mirror image, float32 (1, classes, S, S)."""
        pixels = image.permute(0, 3, 1, 2).float() / 255
        both = self.unet(torch.cat([pixels, pixels.index_select(3, self.mirrored)]))
        return (both[:1] + both[1:].index_select(3, self.mirrored)) / 2


class RegionStyleGraph(nn.Module):
    """`image`, of the generator's size, to `z`, float32 (1, z_dim): the colors of the regions that a U-Net finds."""

    mean: Tensor

    def __init__(self, unet: Unet, generator: Generator) -> None:
        super().__init__()
        self.segmenter, self.classes = UnetGraph(unet, width=generator.width), generator.classes
        self.register_buffer("mean", generator.style_mean.view(1, generator.classes, CODE))

    def forward(self, image: Tensor) -> Tensor:
        signed = image.permute(0, 3, 1, 2).float() / 127.5 - 1
        sums, counts = region_sums(signed, self.segmenter.logits(image).argmax(1), self.classes)
        seen = counts.clamp(0.0, 1.0)  # in place of NaN, which several runtimes cannot test for
        return (sums / (counts + 1 - seen) + (1 - seen) * self.mean).flatten(1)


class StyleEncoderGraph(nn.Module):
    """`image`, of the generator's size, to `z`, float32 (1, z_dim): the mean of q(z|x)."""

    def __init__(self, encoder: Vae, height: int, width: int) -> None:
        super().__init__()
        self.encoder = encoder
        # `resized` for sides that are powers of 2, without an operator whose windows depend on the size
        self.enlarge = tuple(max(1, encoder.size // side) for side in (height, width))
        self.shrink = tuple(max(1, side // encoder.size) for side in (height, width))

    def forward(self, image: Tensor) -> Tensor:
        x = image.permute(0, 3, 1, 2).float() / 127.5 - 1
        if max(self.enlarge) > 1:
            x = F.interpolate(x, scale_factor=self.enlarge, mode="nearest")
        if max(self.shrink) > 1:
            x = F.avg_pool2d(x, self.shrink)
        return self.encoder.encode(x)[0]
