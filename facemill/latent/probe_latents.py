"""Linear probes: what latents say about attributes, read by logistic regressions."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score

from facemill.errors import UserError
from facemill.files import atomic_write
from facemill.latent.attribute_vectors import Labels
from facemill.latent.encode_latents import encode
from facemill.networks.vae import Vae
from facemill.taggers.tagger import Tagger, TaggerInput

PENALTY = 0.01
"""Inverse strength of the weights' penalty, latents scaled to a deviation of 1."""


class Probes(Tagger):
    """Names the attributes of images by what the VAE's encoder makes of them.

    The names of a group share a probability of 1; a boolean is believed from 0.5. The feature is the latent.
    """

    threshold = 0.5

    def __init__(self, groups: dict[str, list[str]], tensors: dict[str, np.ndarray], vae: Vae | None = None) -> None:
        """`tensors` holds `<key>.weight` (Z, names) and `<key>.bias` (names,) of each group and boolean."""
        self.groups, self.tensors, self._vae = groups, tensors, vae
        self.booleans = sorted({key.rpartition(".")[0] for key in tensors} - groups.keys())
        super().__init__([name for names in groups.values() for name in names] + self.booleans)

    def of_latents(self, latents: np.ndarray) -> np.ndarray:
        """How probable each attribute is: float (N, names)."""
        scores = [softmax(self._scores(latents, group), axis=1) for group in self.groups]
        return np.concatenate([*scores, *(expit(self._scores(latents, name)) for name in self.booleans)], 1)

    def verdicts(self, portraits: Sequence[TaggerInput]) -> dict[str, np.ndarray]:
        """For each group the place of its most probable name, for each boolean whether it is there: (N,) each."""
        found = self.probabilities(portraits)
        start, verdicts = 0, {}
        for group, names in self.groups.items():
            verdicts[group] = found[:, start : start + len(names)].argmax(1)
            start += len(names)
        return verdicts | {n: found[:, start + i] > self.threshold for i, n in enumerate(self.booleans)}

    def _scores(self, latents: np.ndarray, key: str) -> np.ndarray:
        return latents @ self.tensors[f"{key}.weight"] + self.tensors[f"{key}.bias"]

    def probabilities(self, portraits: Sequence[TaggerInput]) -> np.ndarray:
        return self.of_latents(self.extract_feature(portraits))

    def extract_feature(self, portraits: Sequence[TaggerInput]) -> np.ndarray:
        assert self._vae is not None, "probes of latents alone have no encoder"
        return np.stack([mean for mean, _ in encode(self._vae, (portrait.image for portrait in portraits))])


def fit_probes(latents: np.ndarray, labels: Labels, min_images: int) -> Probes:
    """Probes for all names of groups, and all booleans, that `min_images` of the latents (N, Z) have (and lack).

    Each side weighs as much as the other, however rare it is.
    """
    groups, tensors = {}, {}
    for group, names in labels.groups.items():
        counts = Counter(name for name in names if name is not None)
        kept = sorted(name for name, count in counts.items() if count >= min_images)
        if len(kept) > 1:
            chosen = np.isin(np.array(names, object), kept)
            groups[group] = kept
            tensors |= _fit(group, latents[chosen], [kept.index(name) for name in names if name in kept], len(kept))
    for name, has in labels.booleans.items():
        if min(np.count_nonzero(has), np.count_nonzero(~has)) >= min_images:
            tensors |= _fit(name, latents, has.astype(int), 1)
    return Probes(groups, tensors)


def _fit(key: str, latents: np.ndarray, classes: Sequence[int], outputs: int) -> dict[str, np.ndarray]:
    scale = latents.std(0) + 1e-6
    model = LogisticRegression(C=PENALTY, class_weight="balanced", max_iter=1000).fit(latents / scale, classes)
    weight, bias = (model.coef_ / scale).T, model.intercept_
    if len(bias) < outputs:  # two names: one score tells them apart
        weight, bias = np.concatenate([-weight / 2, weight / 2], 1), np.concatenate([-bias / 2, bias / 2])
    return {f"{key}.weight": np.float32(weight), f"{key}.bias": np.float32(bias)}


def balanced_accuracies(
    probes: Probes, latents: np.ndarray, labels: Labels
) -> dict[str, dict[str, float | int | None]]:
    """For each group and boolean the mean over its classes of the share that the probe gets right.

    `images` is how many latents were judged; those without a name that the probe knows are left out.
    """
    figures = {}
    found = probes.of_latents(latents)
    for group, names in probes.groups.items():
        places = [probes.names.index(name) for name in names]
        known = [i for i, name in enumerate(labels.groups[group]) if name in names]
        truth = [labels.groups[group][i] for i in known]
        figures[group] = _accuracy(truth, [names[k] for k in found[known][:, places].argmax(1)])
    for name in probes.booleans:
        figures[name] = _accuracy(labels.booleans[name], found[:, probes.names.index(name)] > probes.threshold)
    return figures


def _accuracy(truth: Sequence, found: Sequence) -> dict[str, float | int | None]:
    images = len(truth)
    return {"balanced_accuracy": float(balanced_accuracy_score(truth, found)) if images else None, "images": images}


def save_probes(path: Path, probes: Probes) -> None:
    """Writes the probes as safetensors; the groups stand in its metadata."""
    with atomic_write(path) as tmp:
        tensors = {key: np.ascontiguousarray(tensor) for key, tensor in probes.tensors.items()}
        save_file(tensors, tmp, {"groups": json.dumps(probes.groups)})


def load_probes(path: Path, vae: Vae) -> Probes:
    """Probes as `save_probes` wrote them, to look at images with the VAE's encoder. Raises `UserError` when damaged."""
    try:
        with safe_open(path, "numpy") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
            return Probes(json.loads(file.metadata()["groups"]), tensors, vae)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a readable file of probes ({error})") from error
