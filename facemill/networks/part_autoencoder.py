"""The autoencoder of "Creating emojis using machine learning" (Akvelon, 2022): 8 numbers for a picture of a part.

The article published the list of layers, no code. `original` is that list. Its code ends in a ReLU: a dimension that is
negative for every picture gets no gradient and stays 0, and cosines of codes without negative numbers lie between 0 and
1. `fixed` has no ReLU there, and a sigmoid at the end, since pixels lie in [0, 1].
"""

from typing import Literal

import torch
from torch import Tensor, nn

SIZE = 306
"""Side of the pictures."""

CODE = 8
"""Dimensions of the code."""

FLAT = 256 * 8 * 8
"""Numbers that the last convolution yields."""

Kind = Literal["original", "fixed"]


class PartAutoencoder(nn.Module):
    """Pictures, float32 (B, 3, 306, 306) in [0, 1], to their reconstructions, by way of codes (B, 8)."""

    def __init__(self, *, kind: Kind) -> None:
        """An autoencoder with random weights.

        Args:
            kind: `original`, as published, or `fixed`: without ReLU on the code, and with a sigmoid at the end.
        """
        super().__init__()
        self.kind = kind
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.ReLU(inplace=True)),
            *(nn.Conv2d(16, 64, 3, stride=2, padding=1), nn.ReLU(inplace=True)),
            *(nn.Conv2d(64, 128, 5, stride=3, padding=2), nn.ReLU(inplace=True)),
            *(nn.Conv2d(128, 256, 5, stride=3, padding=1), nn.ReLU(inplace=True)),
            nn.Flatten(),
        )
        self.code = nn.Sequential(nn.Linear(FLAT, CODE), *([nn.ReLU()] if kind == "original" else []))
        self.decoder = nn.Sequential(
            *(nn.Linear(CODE, FLAT), nn.ReLU(inplace=True), nn.Unflatten(1, (256, 8, 8))),
            *(nn.ConvTranspose2d(256, 128, 5, stride=3), nn.ReLU(inplace=True)),
            *(nn.ConvTranspose2d(128, 64, 5, stride=3, padding=2, output_padding=1), nn.ReLU(inplace=True)),
            *(nn.ConvTranspose2d(64, 16, 3, stride=2, padding=1), nn.ReLU(inplace=True)),
            nn.ConvTranspose2d(16, 3, 3, stride=2, padding=1, output_padding=1),
            *([nn.Sigmoid()] if kind == "fixed" else []),
        )

    def encode(self, pictures: Tensor) -> Tensor:
        """The codes of pictures: (B, 8), in float32, under autocast too: they are all that is told of a picture."""
        features = self.features(pictures)
        with torch.autocast(pictures.device.type, enabled=False):
            codes: Tensor = self.code(features.float())
        return codes

    def decode(self, codes: Tensor) -> Tensor:
        """The pictures of codes: (B, 3, 306, 306)."""
        pictures: Tensor = self.decoder(codes)
        return pictures

    def forward(self, pictures: Tensor) -> Tensor:
        return self.decode(self.encode(pictures))
