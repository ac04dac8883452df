"""PatchNCE: a place of a translation must be told, among others of the image, to be where it was before.

Source: Park et al. 2020, "Contrastive Learning for Unpaired Image-to-Image Translation"
(https://arxiv.org/abs/2007.15651), section 3.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facemill.networks.resnet_generator import WEIGHT_DEVIATION, ReflectedConv, ResidualBlock, ResnetGenerator

TEMPERATURE = 0.07

PLACES = 256
"""Most places of each layer."""


def compared_layers(generator: ResnetGenerator) -> list[int]:
    """Indices of the generator's layers whose results are compared, beside the image itself.

    They are both convolutions that halve it, the first residual block and the middle one (of nine the fifth).
    """
    layers = list(enumerate(generator.layers))
    halvings = [index for index, layer in layers if isinstance(layer, ReflectedConv) and layer.stride == (2, 2)]
    blocks = [index for index, layer in layers if isinstance(layer, ResidualBlock)]
    return [*halvings, blocks[0], blocks[len(blocks) // 2]]


def encoded(generator: ResnetGenerator, images: Tensor) -> list[Tensor]:
    """Features of images, (B, C, h, w) each: they themselves, and the results of `compared_layers`."""
    compared = compared_layers(generator)
    features, x = [images], images
    for index, layer in enumerate(generator.layers[: compared[-1] + 1]):
        x = layer(x)
        if index in compared:
            features.append(x)
    return features


def translated_and_encoded(generator: ResnetGenerator, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Translations of images and, by the way, their features (`encoded`)."""
    features = encoded(generator, images)
    return generator.layers[compared_layers(generator)[-1] + 1 :](features[-1]), features


class Projections(nn.Module):
    """For each layer a network of two linear ones, through which the features of places pass.

    Args:
        width: of the generator. Projections have four times as many units: the paper's 256 for its 64.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        units = 4 * width
        self.networks = nn.ModuleList(
            nn.Sequential(nn.Linear(channels, units), nn.ReLU(), nn.Linear(units, units))
            for channels in (3, 2 * width, 4 * width, 4 * width, 4 * width)
        )
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, WEIGHT_DEVIATION)
                nn.init.zeros_(module.bias)

    def forward(self, features: Sequence[Tensor], places: Sequence[Tensor]) -> list[Tensor]:
        """Unit vectors, float32 (B, P, units), of the features (B, C, h, w) of each layer at its places, int64 (P,)."""
        return [
            F.normalize(network(of_layer.permute(0, 2, 3, 1).flatten(1, 2)[:, chosen]).float(), dim=2)
            for network, of_layer, chosen in zip(self.networks, features, places, strict=True)
        ]


def drawn_places(features: Sequence[Tensor]) -> list[Tensor]:
    """Random places of each layer, int64 (P,), at most `PLACES` and none twice, the same in all images of a batch."""
    return [torch.randperm(x.shape[2] * x.shape[3], device=x.device)[:PLACES] for x in features]


def patch_nce(queries: Sequence[Tensor], keys: Sequence[Tensor]) -> Tensor:
    """How hard it is to tell each query's place among those of its image: float32 (B,).

    It is the mean over places and layers of the cross-entropy of section 3, as in the published code; the paper's
    equation has the sum.

    Args:
        queries: unit vectors of translations (B, P, D), of each layer.
        keys: those of what was translated; no gradient goes through them.
    """
    losses = []
    for query, key in zip(queries, keys, strict=True):
        logits = (query / TEMPERATURE) @ key.detach().transpose(1, 2)
        own = torch.arange(logits.shape[1], device=logits.device).expand(logits.shape[:2])
        losses.append(F.cross_entropy(logits.float().flatten(0, 1), own.flatten(), reduction="none").view_as(own))
    return torch.stack([loss.mean(1) for loss in losses]).mean(0)
