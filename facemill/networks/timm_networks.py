"""Networks of timm (https://github.com/huggingface/pytorch-image-models) in a U-Net: encoders and tokens.

Sources: Dosovitskiy et al. 2021 (ViT, https://arxiv.org/abs/2010.11929); Oquab et al. 2023 (DINOv2,
https://arxiv.org/abs/2304.07193).
"""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from facemill.errors import UserError
from facemill.networks.imagenet import download_weights

STRIDES = (2, 4, 8, 16, 32)
"""Strides of the features that an encoder must give."""

TOKEN_STRIDE = 8
"""Pixels of a portrait, in both directions, that a token stands for."""

TOKEN_CHANNELS = 64
"""Channels to which tokens are projected."""


class TimmEncoder(nn.Module):
    """Normalized images, float32 (B, 3, H, W), to features at strides 2, 4, 8, 16 and 32.

    Attributes:
        channels: of the images and of the features.
        mean: of R, G and B in [0, 1], by which images are normalized.
        std: likewise.
    """

    def __init__(self, name: str) -> None:
        """An encoder with random weights. Raises `UserError` when timm has no such network, or of other strides."""
        import timm  # takes seconds to import

        super().__init__()
        try:
            self.network = timm.create_model(name, pretrained=False, features_only=True)
        except RuntimeError as error:
            raise UserError(f"unet.encoder: found {name!r}; accepted: mobilenet_v2, or a name of timm's") from error
        info = self.network.feature_info
        if tuple(info.reduction()) != STRIDES:
            raise UserError(
                f"unet.encoder: found {name!r}, with features at strides {', '.join(map(str, info.reduction()))}; "
                f"accepted: an encoder with features at strides {', '.join(map(str, STRIDES))}"
            )
        self.channels = (3, *info.channels())
        self.mean, self.std = (tuple(self.network.pretrained_cfg[key]) for key in ("mean", "std"))

    def forward(self, images: Tensor) -> list[Tensor]:
        features: list[Tensor] = self.network(images)
        return features


class VitTokens(nn.Module):
    """A vision transformer's tokens for a U-Net: images, float32 (B, 3, H, W) in [0, 1], to (B, 64, H/8, W/8).

    The transformer sees the images enlarged so that one of its patches covers 8 x 8 pixels: 448 px of 256 with patches
    of 14. The tokens are those after half, three quarters and all of its blocks, projected together by a 1x1
    convolution, batch norm and ReLU.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: str, size: int) -> None:
        """A frozen transformer with random weights.

        Args:
            name: timm's name of a plain vision transformer, such as `vit_small_patch14_dinov2`.
            size: side of the images; its positions are for them alone, so that graphs need not resample them.

        Raises:
            UserError: timm has no such transformer.
        """
        import timm

        super().__init__()
        try:
            self.vit = timm.create_model(name, num_classes=0)
            seen = size // TOKEN_STRIDE * self.vit.patch_embed.patch_size[0]
            self.vit.set_input_size((seen, seen))
        except (RuntimeError, TypeError, AttributeError) as error:  # unknown, or no transformer
            raise UserError(f"token_unet.vit: found {name!r}; accepted: a plain transformer of timm's") from error
        for key in ("mean", "std"):
            self.register_buffer(key, torch.tensor(self.vit.pretrained_cfg[key]).view(1, 3, 1, 1), persistent=False)
        depth = len(self.vit.blocks)
        self.layers = [depth // 2 - 1, depth * 3 // 4 - 1, depth - 1]
        self.vit.requires_grad_(False)
        channels = self.vit.embed_dim * len(self.layers)
        self.project = nn.Sequential(
            nn.Conv2d(channels, TOKEN_CHANNELS, 1, bias=False),
            nn.BatchNorm2d(TOKEN_CHANNELS),
            nn.ReLU(inplace=True),
        )

    def tune(self, blocks: int) -> None:
        """Lets the last blocks be trained. Raises `UserError` when there are not so many."""
        if blocks > (depth := len(self.vit.blocks)):
            raise UserError(f"token_unet.tuned_blocks: found {blocks}; accepted: 0 to {depth}, its blocks")
        self.vit.blocks[depth - blocks :].requires_grad_(True)

    def grid(self, images: Tensor) -> Tensor:
        """The tokens of three layers, normalized as the last layer's are: (B, 3 x embedding, H/8, W/8)."""
        enlarged = F.interpolate((images - self.mean) / self.std, self.vit.patch_embed.img_size, mode="bilinear")
        return torch.cat(
            self.vit.forward_intermediates(enlarged, indices=self.layers, norm=True, intermediates_only=True), 1
        )

    def forward(self, images: Tensor, grid: Tensor | None = None) -> Tensor:
        """The projected tokens of images, or those of their `grid`, where that is already known."""
        tokens: Tensor = self.project(self.grid(images) if grid is None else grid.float())
        return tokens


def load_timm_weights(network: Any, name: str, weights: str | Path | None, *, key: str) -> None:
    """Loads pretrained weights into a network of timm.

    Args:
        network: `TimmEncoder.network` or `VitTokens.vit`.
        name: timm's name of the network.
        weights: `imagenet` or `published` (downloaded), a safetensors file with timm's keys, or None for random
            initialization.
        key: the config's key for the weights, for the error.

    Raises:
        UserError: The file is not safetensors, or does not fit.
    """
    if weights is None:
        return
    if isinstance(weights, str):
        import timm

        if not (published := timm.get_pretrained_cfg(name).hf_hub_id):
            raise UserError(f"{key}: found {weights!r}, but timm has no weights of {name}; accepted: a file, or null")
        weights = download_weights(published)
    try:
        tensors = load_file(weights)
    except SafetensorError as error:
        raise UserError(f"{key}: {weights} is not a safetensors file ({error}); accepted: timm's {name}") from error
    if "pos_embed" in tensors and tensors["pos_embed"].shape != network.pos_embed.shape:
        from timm.layers import resample_abs_pos_embed

        grid, prefix = list(network.patch_embed.grid_size), network.num_prefix_tokens
        tensors["pos_embed"] = resample_abs_pos_embed(tensors["pos_embed"].float(), grid, num_prefix_tokens=prefix)
    state = {wanted: tensors.get(wanted) for wanted in network.state_dict() if not wanted.endswith("batches_tracked")}
    if misfit := [n for n, t in state.items() if t is None or t.shape != network.state_dict()[n].shape]:
        raise UserError(f"{key}: {weights} does not fit timm's {name} (e.g. {misfit[0]})")
    network.load_state_dict({n: tensor.float() for n, tensor in state.items() if tensor is not None}, strict=False)
