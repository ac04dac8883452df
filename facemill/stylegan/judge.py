"""The networks that look at portraits, generated and real, and what they see.

Both kinds come to them in the same way: at the generator's size, enlarged to that of the collection's portraits.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from facemill.config.latent import TagsConfig
from facemill.data.batching import Columns, batched
from facemill.data.classes import ClassTable
from facemill.imaging.colors import region_colors
from facemill.imaging.phash import perceptual_hash
from facemill.inference.backends import Backend, fastest_backend
from facemill.latent.tag_sources import color_tagger, group_names
from facemill.metrics.generation import FEATURES
from facemill.networks.device import autocast, device
from facemill.networks.inception import INCEPTION, inception, inception_features
from facemill.networks.store import load_model, model_classes
from facemill.networks.unet import Unet
from facemill.networks.vae import Vae, to_signed_range
from facemill.stylegan.masks import Masks, masks_of, resized
from facemill.stylegan.validity import measure_mask
from facemill.taggers.tagger import TaggerInput

VAE_FEATURES = "the VAE encoder's last feature map, mean over the image"
"""Name of the features where there are no masks."""

THUMBNAIL = 32
"""Height in pixels at which portraits are compared pixel by pixel."""

BATCH = 64

FeatureNetwork = Callable[[Tensor], Tensor]
"""Features, float32 (N, D), of images, float32 (N, 3, H, W) in [-1, 1]."""


@dataclass
class Compared(Columns):
    """By what N portraits are compared with others; the portraits themselves need not stay in memory.

    Attributes:
        features: float32 (N, D).
        thumbnails: at `THUMBNAIL` pixels, uint8 (N, D).
        hashes: perceptual hashes, uint64 (N,).
    """

    features: np.ndarray
    thumbnails: np.ndarray
    hashes: np.ndarray

    def __len__(self) -> int:
        return len(self.features)


@dataclass
class Looks(Compared):
    """What the judge sees of N portraits: by what they are compared, and what their masks tell, where there are any.

    Attributes:
        parts: the `measure_mask` of their masks, float64 (N, M); M = 0 without masks.
        confidence: of their masks, float32 (N,); 0 without masks.
        flip_disagreement: of their masks, float32 (N,); 0 without masks.
        names: index of the color's name in each group, -1 for none, int64 (N, groups).
    """

    parts: np.ndarray
    confidence: np.ndarray
    flip_disagreement: np.ndarray
    names: np.ndarray


class Judge:
    """Looks at portraits of any size.

    Attributes:
        classes: the class table of the masks; None without masks.
        features_name: name of the features.
        network_name: name of `exact_features`.
        groups: names of colors, by group; empty without masks.

    Args:
        size: height and width of the collection's portraits, to which others are enlarged.
        evaluator: a U-Net that did not label the training set, for features; without it those of `vae` are used.
        labeller: the U-Net that draws masks; None without masks.
        vae: the VAE.
        inception_weights: of FID's Inception, whose features are used where they are given, or None.
        tags_config: palettes of colors.
    """

    def __init__(
        self,
        size: tuple[int, int],
        evaluator: Path | None,
        labeller: Path | None,
        vae: Path | None,
        inception_weights: Path | None,
        tags_config: TagsConfig,
    ) -> None:
        self.size = size
        self.network, self.network_name = _feature_network(evaluator, vae)
        self.features_name = self.network_name
        self._inception = inception(inception_weights).to(device()) if inception_weights else None
        if self._inception:
            self.features_name = INCEPTION
        self._backend: Backend | None = fastest_backend(load_model(Unet, labeller)) if labeller else None
        self.classes: ClassTable | None = model_classes(labeller) if labeller else None
        self.groups = group_names(tags_config) if labeller else {}
        self._colors = color_tagger(tags_config)

    def enlarged(self, images: np.ndarray) -> np.ndarray:
        """Images, uint8 RGB (N, H, W, 3), at the size of the collection's portraits."""
        return resized(images, self.size[0])

    def features(self, images: np.ndarray) -> np.ndarray:
        """Features, float32 (N, D), of uint8 RGB images (N, H, W, 3)."""
        large = self.enlarged(images)
        if self._inception:
            return inception_features(self._inception, large).astype(np.float32)
        with torch.inference_mode(), autocast():
            pixels = torch.from_numpy(large).permute(0, 3, 1, 2).to(device())
            return self.network(to_signed_range(pixels)).float().cpu().numpy()

    def exact_features(self, images: Tensor) -> Tensor:
        """Features of U-Net or VAE in float32, (N, D), of images (N, 3, h, w) in [-1, 1] that were never rounded."""
        return self.network(F.interpolate(images, size=self.size, mode="bilinear", align_corners=False))

    def masks(self, images: np.ndarray) -> Masks:
        """Masks of uint8 RGB images (N, H, W, 3)."""
        assert self._backend, "a judge without a labeller sees no masks"
        return masks_of(self._backend, self.enlarged(images))

    def portraits(self, images: np.ndarray, masks: np.ndarray) -> list[TaggerInput]:
        """Images, uint8 RGB (N, H, W, 3), with the colors of their regions, as taggers take them."""
        assert self.classes, "a judge without a labeller sees no colors"
        pairs = zip(self.enlarged(images), masks, strict=True)
        return [TaggerInput(image, colors=region_colors(image, mask, self.classes)) for image, mask in pairs]

    def compare(self, images: np.ndarray) -> Compared:
        """By what uint8 RGB images (N, H, W, 3) are compared with others."""
        return Compared(self.features(images), small_pixels(images), hashes(images))

    def compare_all(self, images: Iterable[np.ndarray]) -> Compared:
        """By what any number of uint8 RGB images (H, W, 3) are compared with others."""
        return Compared.join([self.compare(np.stack(batch)) for batch in batched(images, BATCH)])

    def look(self, images: np.ndarray) -> Looks:
        """What is seen of a batch of uint8 RGB images (N, H, W, 3)."""
        count, compared = len(images), self.compare(images)
        parts, confidence, disagreement = np.empty((count, 0)), np.zeros(count), np.zeros(count)
        names = np.empty((count, 0), np.int64)
        if self.classes:
            masks, confidence, disagreement = self.masks(images)
            parts = np.stack([measure_mask(mask, self.classes) for mask in masks])
            names = self._names(self.portraits(images, masks))
        return Looks(**vars(compared), parts=parts, confidence=confidence, flip_disagreement=disagreement, names=names)

    def look_at_all(self, images: Iterable[np.ndarray]) -> Looks:
        """What is seen of any number of uint8 RGB images (H, W, 3)."""
        return Looks.join([self.look(np.stack(batch)) for batch in batched(images, BATCH)])

    def _names(self, portraits: Sequence[TaggerInput]) -> np.ndarray:
        probabilities = self._colors.probabilities(portraits)
        columns, start = [], 0
        for names in self.groups.values():
            of_group = probabilities[:, start : start + len(names)]
            columns.append(np.where(of_group.any(1), of_group.argmax(1), -1))
            start += len(names)
        return np.stack(columns, 1)


def _feature_network(evaluator: Path | None, vae: Path | None) -> tuple[FeatureNetwork, str]:
    """The network whose features portraits are compared by, and their name."""
    if evaluator:
        unet = load_model(Unet, evaluator)
        return lambda images: unet.encode((images + 1) / 2)[-2].float().mean((2, 3)), FEATURES
    assert vae, "a judge needs a U-Net or a VAE"
    encoder = load_model(Vae, vae)
    return lambda images: encoder.last_map(images).float().mean((2, 3)), VAE_FEATURES


def small_pixels(images: np.ndarray) -> np.ndarray:
    """Images, uint8 RGB (N, H, W, 3), at `THUMBNAIL` pixels of height: uint8 (N, D)."""
    height, width = images.shape[1:3]
    size = (max(THUMBNAIL * width // height, 1), THUMBNAIL)
    return np.stack([cv2.resize(image, size, interpolation=cv2.INTER_AREA).ravel() for image in images])


def hashes(images: np.ndarray) -> np.ndarray:
    """Perceptual hashes, uint64 (N,), of uint8 RGB images (N, H, W, 3)."""
    return np.array([perceptual_hash(image) for image in images], np.uint64)
