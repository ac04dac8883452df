"""A small network that tells two collections apart: whether a translation looks like where it should go."""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facemill.networks.device import device
from facemill.networks.vae import to_signed_range
from facemill.translate.shrink import averaged

HEIGHT = 64
"""Pixels of height at which it sees portraits; larger ones are averaged."""

WIDTH = 24
"""Channels of its first convolution; with 12 it did no worse on the sample."""
STEPS, BATCH, LEARNING_RATE = 300, 64, 2e-3
"""After 300 steps it called 99% of 300 unseen portraits of each of the sample's hands right, after 600 all of them."""


class Classifier(nn.Module):
    """Logits (B,) of images (B, 3, h, w) in [-1, 1]: above 0 for the second collection.

    Three convolutions of stride 2, the mean over the image, one linear layer.
    """

    def __init__(self) -> None:
        super().__init__()
        channels = [3, WIDTH, 2 * WIDTH, 4 * WIDTH]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(inputs, outputs, 5, stride=2, padding=2) for inputs, outputs in pairwise(channels)
        )
        self.last = nn.Linear(channels[-1], 1)

    def forward(self, images: Tensor) -> Tensor:
        for convolution in self.convolutions:
            images = F.leaky_relu(convolution(images), 0.2)
        logits: Tensor = self.last(images.mean((2, 3)))
        return logits[:, 0]

    @torch.inference_mode()
    def second(self, images: np.ndarray) -> np.ndarray:
        """Which uint8 RGB images (N, h, w, 3) it takes for the second collection's, bool (N,)."""
        return np.concatenate([(self(part) > 0).cpu().numpy() for part in to_tensor(images).split(BATCH)])


def train_classifier(first: np.ndarray, second: np.ndarray) -> Classifier:
    """A classifier of two collections' portraits, uint8 RGB (N, h, w, 3) each, half of a batch from each.

    The same portraits give the same weights; torch's own generator stays as it was.
    """
    random = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        classifier = Classifier().to(device())
    optimizer = torch.optim.Adam(classifier.parameters(), LEARNING_RATE)
    sides = [to_tensor(images) for images in (first, second)]
    targets = torch.tensor([0.0, 1.0], device=device()).repeat_interleave(BATCH // 2)
    for _ in range(STEPS):
        chosen = [side[torch.randint(len(side), (BATCH // 2,), generator=random).to(side.device)] for side in sides]
        images = torch.cat(chosen)
        flipped = torch.rand((BATCH, 1, 1, 1), generator=random).to(images.device) < 0.5
        logits = classifier(torch.where(flipped, images.flip(3), images))
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(logits, targets).backward()
        optimizer.step()
    return classifier.eval()


def to_tensor(images: np.ndarray) -> Tensor:
    """Images, uint8 RGB (N, h, w, 3), at `HEIGHT` at most: float32 (N, 3, H, W) in [-1, 1] on the device."""
    pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).to(device())
    height, width = pixels.shape[2:]
    return to_signed_range(averaged(pixels, HEIGHT, width * HEIGHT // height) if height > HEIGHT else pixels)
