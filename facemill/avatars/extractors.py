"""Extractors: what makes numbers of a part of a portrait, and says how far two parts are from each other.

`shape` is ours; `raw` compares pixels; `autoencoder`, `resnet50` and `mobilenet_v2` are networks, as "Creating emojis
using machine learning" (Akvelon, 2022) compared parts: cosine similarity of what the network makes of the picture.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol

import cv2
import numpy as np
import torch

from facemill.avatars.matching import EVEN, Prototypes, Weights
from facemill.avatars.part_maps import over
from facemill.avatars.regions import Part
from facemill.avatars.statistics import Statistics
from facemill.data.batching import batched
from facemill.errors import UserError
from facemill.networks.device import device
from facemill.networks.part_autoencoder import SIZE as AUTOENCODER_SIZE
from facemill.networks.part_autoencoder import PartAutoencoder
from facemill.networks.pretrained_parts import SIZE as PRETRAINED_SIZE
from facemill.networks.pretrained_parts import PretrainedParts
from facemill.networks.store import load_model

ExtractorName = Literal["shape", "raw", "autoencoder", "resnet50", "mobilenet_v2"]

RAW_SIZE = 32
"""Side at which `raw` compares pixels."""

BATCH = 16

_LEAST = 1e-6  # deviation: numbers that are the same for all parts become 0


class Extractor(Protocol):
    """What describes parts, and compares descriptions."""

    name: str

    def describe(self, parts: Sequence[Part]) -> np.ndarray:
        """The parts' numbers: float32 (N, D)."""

    def distances(self, queries: np.ndarray, library: np.ndarray) -> np.ndarray:
        """From each of `queries`, float32 (B, D), to each of `library`, float32 (N, D): float32 (B, N)."""

    def standardize(self, vectors: np.ndarray, domain: np.ndarray, other: np.ndarray | None = None) -> np.ndarray:
        """Vectors, float32 (N, D), without the mean of their domain, float32 (M, D), and in its deviations.

        For `shape`, means of the domain that differ by no more than chance from those of the `other` one, with whose
        vectors these are compared, count as the same.
        """


class Shape:
    """Silhouette, gray values and proportions: the descriptor that `cut_parts` made."""

    name = "shape"

    def __init__(self, weights: Weights = EVEN) -> None:
        """The extractor with these weights of the three blocks in a distance."""
        self.weights = weights

    def describe(self, parts: Sequence[Part]) -> np.ndarray:
        """The descriptors, as they are."""
        return np.stack([part.descriptor for part in parts]).astype(np.float32)

    def distances(self, queries: np.ndarray, library: np.ndarray) -> np.ndarray:
        """As matching has them: the root of the weighted sum over blocks."""
        return Prototypes(library, np.arange(len(library)), self.weights).distances(queries)

    def standardize(self, vectors: np.ndarray, domain: np.ndarray, other: np.ndarray | None = None) -> np.ndarray:
        """As matching does it."""
        library = None if other is None else Statistics.of({"face": other})
        return Statistics.of({"face": domain}).standardize("face", vectors, library)


class _Cosine:
    """Comparison by cosine."""

    def distances(self, queries: np.ndarray, library: np.ndarray) -> np.ndarray:
        """1 minus the cosine of each pair."""
        return 1 - _unit(queries) @ _unit(library).T

    def standardize(self, vectors: np.ndarray, domain: np.ndarray, other: np.ndarray | None = None) -> np.ndarray:
        """Vectors without the mean of their domain, and in its deviations; `other` does not count."""
        deviations = np.maximum(domain.std(0), _LEAST)
        return ((vectors - domain.mean(0)) / deviations).astype(np.float32)


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length 1; one of zeros stays so, and its cosine with any other is 0."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)


class Raw(_Cosine):
    """The pixels of the crop over white."""

    name = "raw"

    def describe(self, parts: Sequence[Part]) -> np.ndarray:
        """Pixels in [0, 1], row by row: D = 3 * `RAW_SIZE`^2."""
        return np.stack([picture_of(part.crop, RAW_SIZE).ravel() for part in parts]).astype(np.float32) / 255


class NetworkExtractor(_Cosine):
    """What a network makes of the crop over white, in float32: parts of one role differ little."""

    def __init__(self, name: str, network: Callable[[torch.Tensor], torch.Tensor], size: int) -> None:
        """An extractor by a network on `device()`.

        Args:
            name: of the extractor.
            network: maps pictures, float32 (B, 3, size, size) in [0, 1], to vectors, float32 (B, D).
            size: side of the pictures.
        """
        self.name, self.network, self.size = name, network, size

    @torch.inference_mode()
    def describe(self, parts: Sequence[Part]) -> np.ndarray:
        """What the network yields, by batches of `BATCH`."""
        vectors = []
        for batch in batched(parts, BATCH):
            pixels = np.stack([picture_of(part.crop, self.size) for part in batch])
            pictures = torch.from_numpy(pixels).to(device()).permute(0, 3, 1, 2).float() / 255
            vectors.append(self.network(pictures).cpu().numpy())
        return np.concatenate(vectors)


def picture_of(crop: np.ndarray, size: int) -> np.ndarray:
    """A part's crop over white, uint8 RGB (size, size, 3).

    Args:
        crop: uint8 RGBA (H, H, 4).
        size: side of the picture.
    """
    shrinks = size < len(crop)
    return cv2.resize(over(crop), (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def load_extractor(
    name: ExtractorName,
    *,
    weights: Literal["imagenet"] | Path | None = None,
    shape_weights: Weights = EVEN,
) -> Extractor:
    """The extractor of this name.

    Args:
        name: which.
        weights: of a network: the model that `train_part_encoder` wrote, or a file of pretrained weights with
            torchvision's keys, or `imagenet` (downloaded).
        shape_weights: of `shape`.

    Raises:
        UserError: A network without weights, or weights that do not fit.
    """
    if name == "shape":
        return Shape(shape_weights)
    if name == "raw":
        return Raw()
    if name == "autoencoder":
        if not isinstance(weights, Path):
            raise UserError("extractor autoencoder: no model; accepted: the one that train_part_encoder wrote")
        return NetworkExtractor(name, load_model(PartAutoencoder, weights).encode, AUTOENCODER_SIZE)
    if weights is None:
        raise UserError(f"avatars.{name}_weights: null; accepted for extractor {name}: imagenet, or a safetensors file")
    return NetworkExtractor(name, PretrainedParts(name, weights), PRETRAINED_SIZE)
