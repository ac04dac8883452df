"""A finished generator of masks: seeds to masks of any size."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from facemill.data.classes import ClassTable
from facemill.inference.sampler import BATCH, Sampler
from facemill.networks.device import autocast
from facemill.networks.mask_generator import MaskGenerator
from facemill.networks.store import load_model, model_classes

TRUNCATION = 0.7
"""Of random masks, where nothing else is asked for."""


class MaskSampler:
    """Masks from seeds.

    Args:
        generator: the network, in evaluation mode.
        classes: the class table of its masks.
    """

    def __init__(self, generator: MaskGenerator, classes: ClassTable) -> None:
        self.generator, self.classes, self._sampler = generator, classes, Sampler(generator)

    @classmethod
    def load(cls, model: Path, classes: ClassTable | None = None) -> Self:
        """The sampler of a saved generator, a safetensors file or its folder. Raises as `load_model`.

        Args:
            model: the file, or its folder.
            classes: the table that the model must have, where it is given.
        """
        return cls(load_model(MaskGenerator, model, classes), classes or model_classes(model))

    @torch.inference_mode()
    def masks(self, seeds: Sequence[int], psi: float = 1, height: int | None = None) -> np.ndarray:
        """Masks of class ids, uint8 (N, H, W), of seeds: each depends on its seed alone.

        Args:
            seeds: numbers.
            psi: truncation of the styles.
            height: of the masks, by default the generator's; the shares of classes are interpolated before the largest
                one is taken, so that larger masks have smooth borders.
        """
        styles = self._sampler.truncated(seeds, psi)
        return np.concatenate([self._largest(batch, height or self.generator.height) for batch in styles.split(BATCH)])

    def _largest(self, styles: Tensor, height: int) -> np.ndarray:
        with autocast():
            shares = self.generator.synthesize(styles)
        if height != self.generator.height:
            size = (height, height * self.generator.width // self.generator.height)
            shares = F.interpolate(shares, size=size, mode="bilinear", align_corners=False)
        return np.asarray(shares.argmax(1).to(torch.uint8).cpu().numpy())
