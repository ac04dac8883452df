"""A classifier of a StyleGAN's pixels by its feature maps, fitted to a few portraits with masks.

Source: Zhang et al. 2021 (DatasetGAN, https://arxiv.org/abs/2104.06490), section 3.1: the maps of all layers, enlarged,
are a pixel's features. A linear classifier is fitted to some pixels. Enlargement is linear, too, so that of other
portraits each layer's maps become logits first, which are enlarged and added.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn import functional as F

from facemill.data.classes import IGNORE
from facemill.inference.sampler import Sampler
from facemill.networks.device import autocast
from facemill.networks.style_edits import stages
from facemill.stylegan.edits import map_counts

INVERSE_PENALTY = 0.01
"""Of the logistic regression: C of scikit-learn."""
TOLERANCE, MOST_ITERATIONS = 1e-3, 1000
"""Of its gradient, and of the search for it."""
NEVER = -1e4
"""Logit of classes that no labelled pixel has."""


@dataclass(frozen=True)
class PixelClassifier:
    """A linear classifier of the maps of all layers.

    Attributes:
        weights: of each layer, float32 (K, C).
        bias: float32 (K,).
    """

    weights: list[Tensor]
    bias: Tensor

    @classmethod
    def fit(cls, sampler: Sampler, styles: Tensor, masks: np.ndarray, classes: int, pixels: int) -> Self:
        """A logistic regression fitted to random pixels of labelled portraits.

        Args:
            sampler: the generator.
            styles: of the portraits, float32 (N, w_dim).
            masks: their class ids, uint8 (N, H, W); those that are `IGNORE` are left out.
            classes: number of classes, K.
            pixels: number of pixels of each portrait, at most.
        """
        random = np.random.default_rng(0)
        features, labels = [], []
        for style, mask in zip(styles, masks, strict=True):
            places = random.permutation(np.flatnonzero(mask.ravel() != IGNORE))[:pixels]
            features.append(pixel_features(layer_maps(sampler, style[None]), mask.shape, places))
            labels.append(mask.ravel()[places])
        x, y = np.concatenate(features), np.concatenate(labels)
        mean, scale = x.mean(0), x.std(0) + 1e-6
        weights, bias = np.zeros((classes, x.shape[1]), np.float32), np.full(classes, NEVER, np.float32)
        known = np.unique(y)
        if len(known) == 1:
            bias[known] = 0
        else:
            model = LogisticRegression(C=INVERSE_PENALTY, tol=TOLERANCE, max_iter=MOST_ITERATIONS)
            model.fit((x - mean) / scale, y)
            weights[known], bias[known] = _of_each_class(model.coef_), _of_each_class(model.intercept_)
        weights /= scale
        bias -= weights @ mean
        of_layers = torch.from_numpy(weights).split(map_counts(sampler.generator), 1)
        return cls([*of_layers], torch.from_numpy(bias))

    @torch.inference_mode()
    def logits(self, sampler: Sampler, styles: Tensor) -> Tensor:
        """Logits, float32 (N, K, H, W), of the portraits of styles (N, w_dim)."""
        total = self.bias[:, None, None].expand(len(styles), -1, *sampler.generator.sides()[-1])
        for maps, weights in zip(layer_maps(sampler, styles), self.weights, strict=True):
            total = total + _enlarged(torch.einsum("nchw,kc->nkhw", maps, weights), total.shape[2:])
        return total


def _of_each_class(values: np.ndarray) -> np.ndarray:
    """Coefficients of all classes; of two scikit-learn has those of the second against the first alone."""
    return np.concatenate([np.zeros_like(values), values]) if len(values) == 1 else values


@torch.inference_mode()
def layer_maps(sampler: Sampler, styles: Tensor) -> list[Tensor]:
    """The maps of each layer, float32 (N, C, h, w) on the CPU, of styles (N, w_dim)."""
    with autocast():
        return [stage.maps.float().cpu() for stage in stages(sampler.generator, styles.clone().to(sampler.device))]


def pixel_features(maps: Sequence[Tensor], size: tuple[int, ...], places: np.ndarray) -> np.ndarray:
    """The features of some pixels of one portrait, float32 (P, C): its maps (1, c, h, w), enlarged, of all layers.

    Args:
        maps: of each layer.
        size: height and width of the portrait.
        places: numbers of the pixels, row by row, int (P,).
    """
    chosen = [_enlarged(layer, size)[0].flatten(1)[:, torch.from_numpy(places)] for layer in maps]
    return torch.cat(chosen).T.numpy()


def _enlarged(maps: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(maps, tuple(size), mode="bilinear", align_corners=False)
