"""Linear probes: logistic regressions that read attributes from a feature of images."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Self

import cv2
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from scipy.special import expit, softmax

from facemill.errors import UserError
from facemill.files import atomic_write
from facemill.taggers.tagger import Tagger, TaggerInput

Encoder = Callable[[Sequence[np.ndarray]], np.ndarray]
"""The feature, (N, D), of images, uint8 RGB (H, W, 3) each, such as `thumbnails`."""

THUMBNAIL = 24
"""Side of a thumbnail in pixels: on 5,000 photos probes of 32 are no better, those of 16 worse."""


def thumbnails(images: Iterable[np.ndarray]) -> np.ndarray:
    """The pixels of images, uint8 RGB (H, W, 3), at `THUMBNAIL` pixels a side: float32 (N, D) in [0, 1]."""
    size = (THUMBNAIL, THUMBNAIL)
    pixels = [cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32).ravel() for image in images]
    return np.stack(pixels) / np.float32(255)


class Probes(Tagger):
    """Probes of a feature of images, as a tagger.

    The probabilities of a group's names sum to 1; a boolean is present from 0.5.
    """

    threshold = 0.5

    def __init__(
        self, groups: dict[str, list[str]], tensors: dict[str, np.ndarray], encoder: Encoder | None = None
    ) -> None:
        """Probes with the given weights.

        Args:
            groups: the names of each exclusive group.
            tensors: `<key>.weight` (D, names) and `<key>.bias` (names,) of each group and boolean, float32.
            encoder: gives the feature of images; where features are given it is not needed.
        """
        self.groups, self.tensors, self._encoder = groups, tensors, encoder
        self.booleans = sorted({key.rpartition(".")[0] for key in tensors} - groups.keys())
        super().__init__([name for names in groups.values() for name in names] + self.booleans)

    def feature_probabilities(self, features: np.ndarray) -> np.ndarray:
        """The probability of each attribute, of features (N, D): float (N, names)."""
        scores = [softmax(self._scores(features, group), axis=1) for group in self.groups]
        scores += [expit(self._scores(features, name)) for name in self.booleans]
        return np.concatenate([np.empty((len(features), 0)), *scores], 1)

    def _scores(self, features: np.ndarray, key: str) -> np.ndarray:
        return features @ self.tensors[f"{key}.weight"] + self.tensors[f"{key}.bias"]

    def predictions(self, portraits: Sequence[TaggerInput]) -> dict[str, np.ndarray]:
        """For each group the index of its most probable name, for each boolean whether it is present: (N,) each."""
        probabilities = self.probabilities(portraits)
        start, predictions = 0, {}
        for group, names in self.groups.items():
            predictions[group] = probabilities[:, start : start + len(names)].argmax(1)
            start += len(names)
        present = {name: probabilities[:, start + i] > self.threshold for i, name in enumerate(self.booleans)}
        return predictions | present

    def probabilities(self, portraits: Sequence[TaggerInput]) -> np.ndarray:
        """The probability of each attribute of images, as their feature shows it: float (N, names)."""
        return self.feature_probabilities(self.extract_feature(portraits))

    def extract_feature(self, portraits: Sequence[TaggerInput]) -> np.ndarray:
        """The feature of images: float (N, D)."""
        assert self._encoder is not None, "probes without an encoder read features alone"
        return self._encoder([portrait.image for portrait in portraits])

    def save(self, path: Path) -> None:
        """Writes the probes as safetensors; the groups stand in its metadata."""
        with atomic_write(path) as tmp:
            tensors = {key: np.ascontiguousarray(tensor) for key, tensor in self.tensors.items()}
            save_file(tensors, tmp, {"groups": json.dumps(self.groups)})

    @classmethod
    def load(cls, path: Path, encoder: Encoder | None = None) -> Self:
        """Probes as `save` wrote them. Raises `UserError` when they cannot be read."""
        try:
            with safe_open(path, "numpy") as file:
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
                return cls(json.loads(file.metadata()["groups"]), tensors, encoder)
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: not a readable file of probes ({error})") from error
