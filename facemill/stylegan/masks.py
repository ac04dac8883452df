"""Masks of portraits of any size, as the U-Net of the pseudo-labels draws them."""

from typing import NamedTuple

import cv2
import numpy as np

from facemill.data.batching import batched
from facemill.inference.backends import Backend


class Masks(NamedTuple):
    """Masks of N portraits, at the network's size."""

    masks: np.ndarray
    """Class ids, uint8 (N, H, W)."""
    confidence: np.ndarray
    """float32 (N,)."""
    flip_disagreement: np.ndarray
    """With the mirror image's mask, float32 (N,)."""


def resized(images: np.ndarray, height: int) -> np.ndarray:
    """Images, uint8 RGB (N, H, W, 3), enlarged or shrunk to a height, as networks see them."""
    if images.shape[1] == height:
        return images
    size = (height * images.shape[2] // images.shape[1], height)
    return np.stack([cv2.resize(image, size, interpolation=cv2.INTER_LINEAR) for image in images])


def masks_of(backend: Backend, images: np.ndarray) -> Masks:
    """The masks of uint8 RGB images (N, H, W, 3) at the network's size."""
    seen = [backend(batch) for batch in batched(images, backend.batch)]
    columns = zip(*((p.masks, p.confidence, p.flip_disagreement) for p in seen), strict=True)
    return Masks(*map(np.concatenate, columns))
