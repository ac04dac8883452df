"""A finished StyleGAN: seeds to codes, codes to styles, styles to portraits."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from facemill.networks.device import autocast
from facemill.networks.store import load_model
from facemill.networks.stylegan2 import MEAN_STYLES, StyleGenerator
from facemill.networks.vae import to_pixels

BATCH = 64
"""Portraits that are generated at once."""


class Sampler:
    """Portraits from seeds.

    Args:
        generator: the network, in evaluation mode.
    """

    def __init__(self, generator: StyleGenerator) -> None:
        self.generator = generator
        self.device = generator.constant.device

    @classmethod
    def load(cls, model: Path) -> Self:
        """The sampler of a saved generator, a safetensors file or its folder. Raises as `load_model`."""
        return cls(load_model(StyleGenerator, model))

    def codes(self, seeds: Sequence[int]) -> Tensor:
        """Codes z, N(0, 1), float32 (N, z_dim): each depends on its seed alone."""
        return torch.stack([torch.randn(self.generator.z_dim, generator=_random(seed)) for seed in seeds])

    def slots(self, seeds: Sequence[int]) -> Tensor:
        """Slots of conditions, int64 (N, groups), in the shares of the training: each depends on its seed alone."""
        return torch.cat([self._slots(seed) for seed in seeds])

    def _slots(self, seed: int) -> Tensor:
        random = _random(seed)
        torch.randn(self.generator.z_dim, generator=random)  # the numbers of its code, of which slots are independent
        return self.generator.draw_slots(1, random)

    @torch.inference_mode()
    def styles(self, codes: Tensor, slots: Tensor) -> Tensor:
        """Styles w, float32 (N, w_dim) on the generator's device, of codes z and slots (N, groups)."""
        return self.generator.map(codes.to(self.device), self.generator.condition(slots))

    @torch.inference_mode()
    def centers(self, slots: Tensor) -> Tensor:
        """The styles around which those of slots (N, groups) are truncated, float32 (N, w_dim).

        The mean of w; with conditions, that of the styles with the same slots.
        """
        if not self.generator.slots:
            return self.generator.w_mean.expand(len(slots), -1)
        codes = torch.randn((MEAN_STYLES, self.generator.z_dim), generator=_random(0))
        unique, index = slots.unique(dim=0, return_inverse=True)
        means = [self.styles(codes, slot.expand(MEAN_STYLES, -1)).mean(0) for slot in unique]
        return torch.stack(means)[index.to(self.device)]

    def truncated(self, seeds: Sequence[int], psi: float, slots: Tensor | None = None) -> Tensor:
        """Styles w, float32 (N, w_dim), of seeds, truncated to `psi`; by default with the slots of the seeds."""
        slots = self.slots(seeds) if slots is None else slots
        return self.generator.truncated(self.styles(self.codes(seeds), slots), psi, self.centers(slots))

    @torch.inference_mode()
    def generate(self, styles: Tensor) -> np.ndarray:
        """Portraits, uint8 RGB (N, H, W, 3), of styles (N, w_dim), or of each layer (N, layers, w_dim)."""
        pictures = []
        for batch in styles.split(BATCH):
            with autocast():
                pictures.append(to_pixels(self.generator.synthesize(batch.to(self.device))))
        return np.concatenate(pictures)


def _random(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
