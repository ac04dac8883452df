"""Attribute vectors: the way in latent space from one hair color to another, or to a smile."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from sklearn.linear_model import LogisticRegression

from facemill.errors import UserError
from facemill.files import atomic_write, write_json


@dataclass(frozen=True)
class Labels:
    """What N portraits have: of exclusive groups a name or None each, of booleans whether."""

    groups: dict[str, Sequence[str | None]] = field(default_factory=dict)
    booleans: dict[str, np.ndarray] = field(default_factory=dict)
    """bool (N,) each."""

    def part(self, chosen: np.ndarray) -> "Labels":
        """Those of the portraits where `chosen`, bool (N,), is true."""
        groups = {
            group: [name for name, take in zip(names, chosen, strict=True) if take]
            for group, names in self.groups.items()
        }
        return Labels(groups, {name: has[chosen] for name, has in self.booleans.items()})


@dataclass(frozen=True)
class Vectors:
    """Attribute vectors, float (Z,) each.

    `groups` holds the names of each exclusive group that have enough images; `pairs` the vector from each to each
    other; `booleans` the vector from those that lack an attribute to those that have it.
    """

    groups: dict[str, list[str]]
    pairs: dict[tuple[str, str], np.ndarray]
    booleans: dict[str, np.ndarray]

    def names(self) -> list[str]:
        """Everything that portraits can be turned into."""
        return [name for names in self.groups.values() for name in names] + list(self.booleans)

    def step(self, own: str | bool, target: str) -> np.ndarray:
        """What turns a portrait into `target`, or takes a boolean `target` away from one that has it (`own` true)."""
        if target in self.booleans:
            return -self.booleans[target] if own else self.booleans[target]
        return self.pairs[own, target]


def attribute_vectors(
    latents: np.ndarray, labels: Labels, held: Mapping[str, np.ndarray], method: str, min_images: int
) -> Vectors:
    """The vectors between all names of each group, and of all booleans, that `min_images` latents have (and lack).

    What is held is taken out by projection: a least-squares fit of the latents by the labels and the held columns
    says how the latents follow these, and that part is subtracted before the latents are compared. A difference of
    means is then the labels' own coefficient of that fit (Frisch and Waugh 1933).

    Args:
        latents: float (N, Z).
        held: columns (N, K) of numbers that vectors shall leave as they are, by their name; a group's or boolean's
            own is not held for it. NaN counts as the mean.
        method: `means`, the difference of means, or `logistic`, the normal of the logistic regression between both
            sides, as long as that difference along it.
    """
    groups, pairs, booleans = {}, {}, {}
    for group, names in labels.groups.items():
        counts = Counter(name for name in names if name is not None)
        groups[group] = kept = sorted(name for name, count in counts.items() if count >= min_images)
        own = np.array([name if name in kept else "" for name in names], object)
        others = [columns for key, columns in held.items() if key != group]
        free = _without(latents, np.stack([own == name for name in [*kept, ""]], 1), others)
        for i, a in enumerate(kept):
            for b in kept[i + 1 :]:
                pairs[a, b] = _vector(free[own == a], free[own == b], method)
                pairs[b, a] = -pairs[a, b]
    for name, has in labels.booleans.items():
        if min(np.count_nonzero(has), np.count_nonzero(~has)) >= min_images:
            others = [columns for key, columns in held.items() if key != name]
            free = _without(latents, np.stack([has, ~has], 1), others)
            booleans[name] = _vector(free[~has], free[has], method)
    return Vectors({group: kept for group, kept in groups.items() if len(kept) > 1}, pairs, booleans)


def _without(latents: np.ndarray, labels: np.ndarray, held: Sequence[np.ndarray]) -> np.ndarray:
    """The latents without what follows the held columns, as far as it does not follow the labels (N, names) too."""
    if not held:
        return latents
    columns = np.concatenate(held, 1)
    columns = np.where(np.isnan(columns), np.nanmean(columns, 0), columns)
    columns = columns - columns.mean(0)
    effects = np.linalg.lstsq(np.concatenate([labels, columns], 1), latents, rcond=None)[0][labels.shape[1] :]
    return latents - columns @ effects


def _vector(a: np.ndarray, b: np.ndarray, method: str) -> np.ndarray:
    difference = b.mean(0) - a.mean(0)
    if method == "means":
        return difference
    both = np.concatenate([a, b])
    scale = both.std(0) + 1e-6
    sides = np.repeat([0, 1], [len(a), len(b)])
    model = LogisticRegression(C=0.01, class_weight="balanced", max_iter=1000).fit(both / scale, sides)
    normal = model.coef_[0] / scale
    normal /= np.linalg.norm(normal)
    return normal * (difference @ normal)


def split_half(
    latents: np.ndarray, labels: Labels, held: Mapping[str, np.ndarray], method: str, halves: np.ndarray
) -> dict[str, float]:
    """How alike vectors of two halves of the portraits are (`halves`, bool (N,), says which): their cosine, by key."""
    two = [
        keyed(attribute_vectors(latents[half], labels.part(half), {k: c[half] for k, c in held.items()}, method, 1))
        for half in (halves, ~halves)
    ]
    return {
        key: float(two[0][key] @ two[1][key] / (np.linalg.norm(two[0][key]) * np.linalg.norm(two[1][key])))
        for key in two[0].keys() & two[1].keys()
    }


def keyed(vectors: Vectors) -> dict[str, np.ndarray]:
    """All vectors by their key in files, `<from>.<to>` or a boolean's name; of two opposite ones the first alone."""
    return {f"{a}.{b}": vector for (a, b), vector in vectors.pairs.items() if a < b} | vectors.booleans


def save_vectors(path: Path, vectors: Vectors, counts: Mapping[str, int], cosines: Mapping[str, float]) -> None:
    """Writes `path` (safetensors, a tensor for each key of `keyed`, float32) and a JSON beside it.

    That says which groups and booleans there are, how many images stand behind each name, and how long each vector is
    and how alike the vectors of two halves of the images are.
    """
    tensors = keyed(vectors)
    about = {
        "groups": vectors.groups,
        "booleans": list(vectors.booleans),
        "images": {name: counts[name] for name in vectors.names()},
        "norms": {key: float(np.linalg.norm(vector)) for key, vector in tensors.items()},
        "split_half_cosine": {key: cosines.get(key) for key in tensors},
    }
    write_json(path.with_suffix(".json"), about)
    with atomic_write(path) as tmp:
        save_file({key: np.ascontiguousarray(vector, np.float32) for key, vector in tensors.items()}, tmp)


def load_vectors(path: Path) -> Vectors:
    """Vectors as `save_vectors` wrote them. Raises `UserError` when they cannot be read."""
    try:
        tensors, about = load_file(path), json.loads(path.with_suffix(".json").read_text())
        pairs = {}
        for names in about["groups"].values():
            for i, a in enumerate(names):
                for b in names[i + 1 :]:
                    pairs[a, b] = tensors[f"{a}.{b}"]
                    pairs[b, a] = -pairs[a, b]
        return Vectors(about["groups"], pairs, {name: tensors[name] for name in about["booleans"]})
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise UserError(f"{path}: not a readable file of vectors ({error})") from error
