"""Hand-drawn labels that a network trained without them contradicts, and where.

In the manner of confident learning (Northcutt et al. 2021, https://arxiv.org/abs/1911.00068): the probabilities are out
of fold, and what counts is how sure the network is of something else than the label says.
"""

from typing import NamedTuple

import numpy as np
import torch

from facemill.data.classes import CLASSES, IGNORE, SEVEN
from facemill.inference.segmenter import Segmenter
from facemill.networks.unet import Unet

MIN_MAD = 0.02
"""Added to a class's spread, so that classes on which network and labels nearly always agree make no outliers."""


class Judged(NamedTuple):
    """What a network says of a labelled portrait."""

    mask: np.ndarray
    """Its own mask: uint8 (S, S)."""
    against: np.ndarray
    """How much surer it is of its own class than of the label's, 0 to 1; 0 where ignored: float32 (S, S)."""
    contradictions: np.ndarray
    """For each class the mean of `against` where it or the label says that class: (classes,), NaN where none does."""


def judge(probability: np.ndarray, label: np.ndarray) -> Judged:
    """Compares probabilities, float32 (classes, S, S), with a label, uint8 (S, S)."""
    known = label != IGNORE
    mask = probability.argmax(0).astype(np.uint8)
    named = np.take_along_axis(probability, np.where(known, label, 0)[None].astype(np.int64), 0)[0]
    against = np.where(known, probability.max(0) - named, 0).astype(np.float32)
    either = [known & ((mask == c) | (label == c)) for c in range(len(CLASSES))]
    return Judged(mask, against, np.array([against[place].mean() if place.any() else np.nan for place in either]))


@torch.inference_mode()
def probabilities(unet: Unet, images: list[np.ndarray]) -> np.ndarray:
    """Of every class at every pixel: float32 (B, classes, S, S)."""
    return Segmenter(unet, SEVEN).logits(images).softmax(1).cpu().numpy()


def outlying(contradictions: np.ndarray) -> np.ndarray:
    """How far each contradiction is above what is usual for its class, in robust deviations: (N, classes).

    `contradictions` is (N, classes), NaN where neither network nor label says the class; there the result is 0.
    """
    away = contradictions - np.nanmedian(contradictions, 0)
    spread = 1.4826 * np.nanmedian(np.abs(away), 0) + MIN_MAD
    return np.nan_to_num(away / spread)
