"""A finished translator: portraits of one collection in the manner of another."""

from pathlib import Path
from typing import Self

import numpy as np
import torch

from facemill.errors import UserError
from facemill.networks.device import autocast
from facemill.networks.resnet_generator import MULTIPLE, ResnetGenerator
from facemill.networks.store import load_model, model_settings
from facemill.networks.vae import to_pixels, to_signed_range

BATCH_PIXELS = 1 << 16
"""Pixels of the images that are translated at once: 16 images of 64 x 64."""


class Translator:
    """One direction of a finished translation.

    Args:
        generator: the network, in evaluation mode.
        size: height in pixels of the portraits that it was trained on.
    """

    def __init__(self, generator: ResnetGenerator, size: int) -> None:
        self.generator, self.size = generator, size
        self.device = next(generator.parameters()).device

    @classmethod
    def load(cls, path: Path) -> Self:
        """The translator of a saved generator, a safetensors file such as `cyclegan/a2b.safetensors`.

        Raises:
            UserError: The model is missing or of another kind, or its JSON does not tell its size; as `load_model`.
        """
        generator, settings = load_model(ResnetGenerator, path), model_settings(path)
        if not isinstance(size := settings.get("size"), int):
            raise UserError(f"{path.with_suffix('.json')}: settings.size: found {size}; accepted: a height in pixels")
        return cls(generator, size)

    @torch.inference_mode()
    def translate(self, images: np.ndarray) -> np.ndarray:
        """Translations, uint8 RGB (n, h, w, 3), of images of that type and shape; sides are multiples of `MULTIPLE`.

        Images of one size always go through the network in batches of one size, the last filled up, so that the same
        image gives the same bytes, whatever others are with it.

        Raises:
            ValueError: A side is not a multiple of `MULTIPLE`.
        """
        count, height, width, _ = images.shape
        if height % MULTIPLE or width % MULTIPLE:
            raise ValueError(f"found images of {width} x {height} pixels; accepted: multiples of {MULTIPLE}")
        batch = max(1, BATCH_PIXELS // (height * width))
        translated = np.empty_like(images)
        for start in range(0, count, batch):
            part = images[start : start + batch]
            filled = np.zeros((batch, height, width, 3), np.uint8)
            filled[: len(part)] = part
            pixels = torch.from_numpy(filled).to(self.device).permute(0, 3, 1, 2)
            with autocast():
                result = self.generator(to_signed_range(pixels).contiguous(memory_format=torch.channels_last))
            translated[start : start + batch] = to_pixels(result)[: len(part)]
        return translated
