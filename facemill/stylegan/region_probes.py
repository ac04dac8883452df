"""Linear probes of one part of a portrait: whether a mouth is open, as its pixels show it."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from sklearn.metrics import balanced_accuracy_score

from facemill.latent.attributes import AttributeLabels
from facemill.latent.probe_latents import fit_probes
from facemill.taggers.probes import Probes

WINDOW = 16
"""Side in pixels at which a part is seen."""
SEEN_HEIGHT = 64
"""Height in pixels of the portraits that probes see, at most."""
MARGIN = 1.5
"""Side of the window, as a multiple of the part's."""
USUAL = 0.9
"""Share of the portraits whose part is no larger than what the window is made for."""


class RegionProbe(NamedTuple):
    """A logistic regression that reads an attribute from the window around a part of a portrait."""

    name: str
    ids: tuple[int, ...]
    """Of the part's classes."""
    side: float
    """Of the window, as a share of the portrait's height."""
    probes: Probes

    @classmethod
    def fit(
        cls, name: str, ids: Sequence[int], images: np.ndarray, masks: np.ndarray, present: np.ndarray, min_images: int
    ) -> "RegionProbe | None":
        """A probe fitted to portraits; None where fewer than `min_images` of those with the part have or lack it.

        Args:
            name: of the attribute.
            ids: of the part's classes.
            images: uint8 RGB (N, H, W, 3).
            masks: class ids, uint8 (N, H, W).
            present: whether each portrait has the attribute, bool (N,).
            min_images: least number of portraits on each side.
        """
        side = window_side(masks, ids)
        features = window_features(images, masks, ids, side)
        known = ~np.isnan(features[:, 0])
        if min(np.count_nonzero(known & present), np.count_nonzero(known & ~present)) < min_images:
            return None
        labels = AttributeLabels(booleans={name: present[known]})
        return cls(name, tuple(ids), side, fit_probes(features[known], labels, min_images))

    def probabilities(self, images: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """The probability of the attribute, float (N,); NaN in a portrait without the part.

        Args:
            images: uint8 RGB (N, H, W, 3).
            masks: class ids, uint8 (N, H, W), which tell the part's place.
        """
        features = window_features(images, masks, self.ids, self.side)
        probabilities = self.probes.feature_probabilities(np.nan_to_num(features))[:, 0]
        return np.where(np.isnan(features[:, 0]), np.nan, probabilities)

    def logits(self, images: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """The same as logits, which go on where probabilities come to their ends."""
        p = self.probabilities(images, masks).clip(1e-12, 1 - 1e-12)
        return np.log(p / (1 - p))

    def accuracy(self, images: np.ndarray, masks: np.ndarray, present: np.ndarray) -> float | None:
        """Balanced accuracy on portraits with the part: the mean of the shares of both sides that are told right."""
        p = self.probabilities(images, masks)
        known = ~np.isnan(p)
        if len(set(present[known])) < 2:
            return None
        return float(balanced_accuracy_score(present[known], p[known] > self.probes.threshold))


def window_side(masks: np.ndarray, ids: Sequence[int]) -> float:
    """The side of the window for a part, as a share of the height of masks, uint8 (N, H, W); 1 without any part."""
    boxes = [cv2.boundingRect(np.isin(mask, ids).astype(np.uint8)) for mask in masks]
    sides = [max(width, height) for _, _, width, height in boxes if width]
    return float(min(MARGIN * np.quantile(sides, USUAL) / masks.shape[1], 1.0)) if sides else 1.0


def window_features(images: np.ndarray, masks: np.ndarray, ids: Sequence[int], side: float) -> np.ndarray:
    """The pixels of windows around the centers of a part, and its mean color: float32 (N, D) in [0, 1].

    The features of a portrait without the part are NaN.

    Args:
        images: uint8 RGB (N, H, W, 3).
        masks: class ids, uint8 (N, H, W).
        ids: of the part's classes.
        side: of the windows, as a share of the portraits' height.
    """
    features = np.full((len(images), 3 * (WINDOW**2 + 1)), np.nan, np.float32)
    for row, image, mask in zip(features, images, masks, strict=True):
        part = np.isin(mask, ids)
        if part.any():
            row[:-3] = _window(image, np.argwhere(part).mean(0), side * len(image)).ravel()
            row[-3:] = image[part].mean(0)
    return features / 255


def _window(image: np.ndarray, center: np.ndarray, side: float) -> np.ndarray:
    """A square around a center (row, column), uint8 (WINDOW, WINDOW, 3); the portrait's edge is repeated beyond it."""
    scale = WINDOW / side
    offset = (WINDOW - 1) / 2 - scale * center[::-1]
    matrix = np.array([[scale, 0, offset[0]], [0, scale, offset[1]]])
    blurred = cv2.blur(image, (round(1 / scale),) * 2) if scale < 0.6 else image  # what is left out is averaged
    return cv2.warpAffine(blurred, matrix, (WINDOW, WINDOW), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def seen_size(images: np.ndarray) -> np.ndarray:
    """Portraits, uint8 RGB (N, H, W, 3), or their masks, uint8 (N, H, W), at the height at which probes see them."""
    height, width = images.shape[1:3]
    if height <= SEEN_HEIGHT:
        return images
    size = (width * SEEN_HEIGHT // height, SEEN_HEIGHT)
    way = cv2.INTER_AREA if images.ndim == 4 else cv2.INTER_NEAREST_EXACT
    return np.stack([cv2.resize(image, size, interpolation=way) for image in images])
