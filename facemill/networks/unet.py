"""The U-Nets: a MobileNetV2 encoder under one of two decoders.

Sources: Ronneberger et al. 2015 (https://arxiv.org/abs/1505.04597); Sandler et al. 2018 (MobileNetV2,
https://arxiv.org/abs/1801.04381); Odena et al. 2016, "Deconvolution and Checkerboard Artifacts"
(https://doi.org/10.23915/distill.00003), for why v3 upsamples and convolves.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
from huggingface_hub import hf_hub_download
from safetensors.torch import load_file
from segmentation_models_pytorch.encoders import encoders, get_encoder
from torch import Tensor, nn
from torch.nn import functional as F

from facemill.data.classes import CLASSES
from facemill.errors import Damaged, UserError
from facemill.files import sha256

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

WIDTHS = {
    "tiny": (16, 16, 8, 8, 8),
    "narrow": (96, 64, 32, 24, 16),
    "wide": (256, 128, 64, 32, 16),
}
"""Presets: the decoder's channels from the deepest level to full size. `wide` is segmentation-models-pytorch's own."""

LAST_OF_STRIDE = (1, 3, 6, 13, 18)
"""The last layers of MobileNetV2 at strides 2, 4, 8, 16 and 32."""


def convolution(inputs: int, outputs: int) -> nn.Sequential:
    """3x3 convolution, batch norm, ReLU; keeps the size."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class TransposedBlock(nn.Module):
    """Doubles the size with a transposed convolution (kernel 3, stride 2: uneven overlap), then joins the skip."""

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
    """Doubles the size by interpolation, joins the skip, then convolves twice."""

    def __init__(self, inputs: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.convolve = nn.Sequential(convolution(inputs + skip, outputs), convolution(outputs, outputs))
        self.outputs = outputs

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.convolve(torch.cat([F.interpolate(x, scale_factor=2, mode="nearest"), skip], 1))


class Unet(nn.Module):
    """Images, float32 (B, 3, S, S) in [0, 1], to logits (B, classes, S, S); S a multiple of 32 times `downscale`.

    `decoder`: `transposed` (v1, v2) or `upsample` (v3). `downscale`: the network sees the image shrunk by it, and its
    logits are enlarged by it, pixel by pixel (v1). `size` is the side it was trained at, for those who choose one.
    """

    def __init__(
        self,
        *,
        size: int,
        decoder: Literal["transposed", "upsample"],
        decoder_channels: Sequence[int],
        downscale: int = 1,
        classes: int = len(CLASSES),
    ) -> None:
        super().__init__()
        self.size, self.downscale = size, downscale
        self.encoder = get_encoder("mobilenet_v2", weights=None)
        block = {"transposed": TransposedBlock, "upsample": UpsampleBlock}[decoder]
        channels, *skips = self.encoder.out_channels[::-1]
        if decoder == "transposed":
            skips[-1] = 0  # the image itself, which only v3's last block sees
        blocks = []
        for skip, outputs in zip(skips, decoder_channels, strict=True):
            blocks.append(block(channels, skip, outputs))
            channels = blocks[-1].outputs
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Conv2d(channels, classes, 1)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def stem(self, images: Tensor) -> list[Tensor]:
        """The image that the network sees, normalized, and the encoder's features of it at strides 2 and 4.

        In float32, under autocast too: they are 6% of the operations, and in bfloat16 they alone would change
        the class of 0.25% of a real portrait's pixels; all others together change 0.05%.
        """
        x = (images - self.mean) / self.std
        if self.downscale > 1:
            x = F.avg_pool2d(x, self.downscale)
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(x.device.type, enabled=False):
            return self._through(range(4), [x])

    def encode(self, images: Tensor) -> list[Tensor]:
        """The normalized image, and the encoder's features of it at strides 2, 4, 8, 16 and 32."""
        return self.encode_deeper(self.stem(images))

    def encode_deeper(self, features: list[Tensor]) -> list[Tensor]:
        """What `stem` found, and the encoder's features at strides 8, 16 and 32."""
        x = features[-1]
        # depthwise convolutions train faster in float32 than in bfloat16 on the CPU: 9% of the whole step
        mixed = torch.is_autocast_enabled(x.device.type) and (x.is_cuda or not self.training)
        with torch.autocast(x.device.type, enabled=mixed):
            return self._through(range(4, len(self.encoder.features)), features)

    def _through(self, layers: range, features: list[Tensor]) -> list[Tensor]:
        found, x = list(features), features[-1]
        for place in layers:
            x = self.encoder.features[place](x)
            if place in LAST_OF_STRIDE:
                found.append(x)
        return found

    def decode(self, features: list[Tensor]) -> Tensor:
        """Logits of what `encode` found."""
        *skips, x = features
        for block, skip in zip(self.blocks, skips[::-1], strict=True):
            x = block(x, skip)
        logits = self.head(x)
        return F.interpolate(logits, scale_factor=self.downscale, mode="nearest") if self.downscale > 1 else logits

    def forward(self, images: Tensor) -> Tensor:
        return self.decode(self.encode(images))


def weights_of(classes: Mapping[str, float]) -> Tensor:
    """The classes' weights, float32 (classes,): 1 where `classes` names none."""
    return torch.tensor([classes.get(name, 1.0) for name in CLASSES])


def load_encoder(unet: Unet, weights: str | Path | None) -> None:
    """Puts pretrained weights into the encoder: `imagenet` (downloaded), a safetensors file of torchvision's
    `features.*` keys, or None for none. Raises `UserError` when the file does not fit.
    """
    if weights is None:
        return
    if weights == "imagenet":
        unet.encoder.load_state_dict(load_file(imagenet_weights()))
        return
    state = {name: tensor.float() for name, tensor in load_file(weights).items() if name.startswith("features.")}
    wanted = unet.encoder.state_dict()
    missing = [name for name in wanted if name not in state and not name.endswith("num_batches_tracked")]
    if missing or any(state[name].shape != wanted[name].shape for name in state if name in wanted):
        raise UserError(f"unet.encoder_weights: {weights} does not fit MobileNetV2 (e.g. {(missing or ['shapes'])[0]})")
    unet.encoder.load_state_dict(state, strict=False)


def imagenet_weights() -> Path:
    """The file of ImageNet's weights, downloaded at the first call.

    Hugging Face keeps a file under its SHA-256 as the server named it; raises `Damaged` when the contents have another.
    """
    pretrained = encoders["mobilenet_v2"]["pretrained_settings"]["imagenet"]
    named = hf_hub_download(pretrained["repo_id"], "model.safetensors", revision=pretrained["revision"])
    kept = Path(named).resolve()
    if sha256(kept) != kept.name:
        raise Damaged(kept, "its SHA-256 is not the one it was downloaded under; remove it to download it again")
    return kept


def cross_entropy_dice(logits: Tensor, target: Tensor, ignore: int, weights: Tensor | None = None) -> Tensor:
    """Cross-entropy plus soft Dice over the classes of the batch (Milletari et al. 2016, eq. 2; one minus its mean).

    `logits` (B, C, H, W), `target` int64 (B, H, W); pixels of id `ignore` count in neither. `weights`, (C,), are those
    of the classes in the cross-entropy, which is then a weighted mean; Dice gives each class the same weight anyway.
    """
    logits = logits.float()
    known = (target != ignore)[:, None]
    entropy = F.cross_entropy(logits, target, weights, ignore_index=ignore)
    truth = target[:, None] == torch.arange(logits.shape[1], device=target.device).view(-1, 1, 1)
    probability = logits.softmax(1)
    overlap = (probability * truth).sum((0, 2, 3))
    found = truth.sum((0, 2, 3))
    total = (probability * known).sum((0, 2, 3)) + found
    return entropy + 1 - (2 * overlap / total.clamp(min=1))[found > 0].mean()
