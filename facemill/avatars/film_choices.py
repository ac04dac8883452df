"""The choices of an avatar in a film, frame by frame, and the embeddings that they follow from."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from facemill.avatars.descriptors import BLOCKS
from facemill.avatars.extractors import Extractor
from facemill.avatars.hysteresis import Hysteresis
from facemill.avatars.matching import Library
from facemill.avatars.plausible import contradicted
from facemill.avatars.regions import Part
from facemill.avatars.statistics import Statistics
from facemill.avatars.styles import NONE, Choice, PartRole
from facemill.data.shards import read_table

SHOWN = 8
"""Numbers of an embedding that a film shows."""

_REACH = 0.7  # of a plot's half height: where the most extreme of a style's parts is


@dataclass(frozen=True)
class Domain:
    """A role's parts in a style, as an extractor sees them."""

    vectors: np.ndarray
    """float32 (N, D)."""
    candidates: np.ndarray
    """The candidate of each: int (N,)."""
    scale: np.ndarray | float
    """What each number counts in a distance: float32 (D,)."""

    @property
    def count(self) -> int:
        """Of the candidates."""
        return int(self.candidates.max()) + 1

    @cached_property
    def means(self) -> np.ndarray:
        """Each candidate's mean part; zeros for one that has none: float32 (C, D)."""
        own = [self.vectors[self.candidates == c] for c in range(self.count)]
        return np.stack([rows.mean(0) if len(rows) else np.zeros_like(self.vectors[0]) for rows in own])


class Comparer:
    """Compares a face's parts with those of a style: by `shape`, or by the cosine of what a network makes of them."""

    def __init__(self, library: Library, statistics: Statistics, extractor: Extractor | None, parts: Path) -> None:
        """Prepares the style's parts.

        Args:
            library: the style's parts.
            statistics: of the collection of the U-Net, for `shape`.
            extractor: a network; None: `shape`.
            parts: the Parquet of the style's parts, whose pictures a network sees.
        """
        self.library, self.statistics, self.extractor = library, statistics, extractor
        domains = _shape_domains(library) if extractor is None else _network_domains(library, extractor, parts)
        self.domains: dict[PartRole, Domain] = domains
        self.axes = {role: Axes.of(domain) for role, domain in domains.items()}

    def vector(self, role: PartRole, part: Part) -> np.ndarray:
        """What the extractor makes of a face's part: float32 (D,)."""
        if self.extractor is not None:
            return self.extractor.describe([part])[0]
        domain = self.statistics if role in self.statistics.means else self.library.statistics
        return domain.standardize(role, part.descriptor[None], self.library.statistics)[0]

    def distances(self, role: PartRole, vector: np.ndarray) -> np.ndarray:
        """From a part's vector to each candidate's nearest part: float32 (C,), squares where they are Euclidean."""
        if self.extractor is None:
            return self.library.prototypes[role].distances(vector[None])[0] ** 2
        domain = self.domains[role]
        distances = np.full(domain.count, np.inf, np.float32)
        np.minimum.at(distances, domain.candidates, self.extractor.distances(vector[None], domain.vectors)[0])
        return np.maximum(distances, 0)

    def compare(self, parts: Mapping[PartRole, Part]) -> dict[PartRole, tuple[np.ndarray, np.ndarray]]:
        """Vector and distances of each part of a face that the style has, too; infinite to what contradicts it."""
        compared = {}
        face = parts["face"].descriptor if "face" in parts else None
        for role in self.domains:
            if role in parts:
                vector = self.vector(role, parts[role])
                distances = self.distances(role, vector)
                if self.extractor is None:
                    out = contradicted(role, parts[role].descriptor[None], [face], self.library, self.statistics)
                    distances = np.where(out[0, : len(distances)], np.inf, distances)
                compared[role] = vector, distances
        return compared

    def apart(self, role: PartRole) -> np.ndarray:
        """How much nearer each candidate is than each other, for its own mean part: float32 (other C, own C)."""
        domain = self.domains[role]
        rows = np.stack([self.distances(role, domain.means[c]) for c in range(domain.count)])
        nearer = np.nan_to_num(rows.T - rows.diagonal(), nan=0, posinf=0, neginf=0)
        return np.maximum(nearer, 0)

    def move(self, role: PartRole, a: np.ndarray, b: np.ndarray) -> float:
        """How far two vectors of a role's parts are from each other."""
        return float(np.linalg.norm((a - b) * self.domains[role].scale))


def _shape_domains(library: Library) -> dict[PartRole, Domain]:
    domains = {}
    for role, prototypes in library.prototypes.items():
        scale = np.zeros(prototypes.descriptors.shape[1], np.float32)
        for block, weight in zip(BLOCKS, prototypes.weights, strict=True):
            scale[block] = np.sqrt(weight / (block.stop - block.start))
        domains[role] = Domain(prototypes.descriptors, prototypes.candidates, scale)
    return domains


def _network_domains(library: Library, extractor: Extractor, parts: Path) -> dict[PartRole, Domain]:
    domains: dict[PartRole, Domain] = {}
    table = read_table(parts, ["role", "candidate", "crop"])
    for role in library.prototypes:
        rows = table.filter(pa.compute.equal(table["role"], role)).to_pylist()
        crops = [np.asarray(Image.open(io.BytesIO(row["crop"]["bytes"])).convert("RGBA")) for row in rows]
        vectors = extractor.describe([Part(crop, np.zeros(0, np.float32), None, None) for crop in crops])
        domains[role] = Domain(vectors, np.array([row["candidate"] for row in rows]), 1.0)
    return domains


@dataclass(frozen=True)
class Axes:
    """What a film shows of a role's embeddings: eight numbers as they are, of more the first principal components."""

    middle: np.ndarray
    directions: np.ndarray
    """float32 (D, up to `SHOWN`)."""
    candidates: np.ndarray
    """Each candidate's mean part, as it is shown: float32 (C, up to `SHOWN`)."""

    @classmethod
    def of(cls, domain: Domain) -> "Axes":
        """The axes in which a style's parts differ most; nine in ten of its candidates lie within `_REACH`."""
        parts = domain.vectors * domain.scale
        means = domain.means * domain.scale
        if parts.shape[1] <= SHOWN:
            middle, directions = np.zeros(parts.shape[1], np.float32), np.eye(parts.shape[1], dtype=np.float32)
        else:
            middle = parts.mean(0)
            directions = _principal(parts - middle)
        reached = np.quantile(np.abs((means - middle) @ directions).max(1), 0.9)
        directions = directions * (_REACH / max(float(reached), 1e-6))
        return cls(middle, directions, ((means - middle) @ directions).astype(np.float32))

    def show(self, vector: np.ndarray, domain: Domain) -> np.ndarray:
        """A part's vector as it is shown: float32 (up to `SHOWN`,), from about -1 to 1."""
        return ((vector * domain.scale - self.middle) @ self.directions).astype(np.float32)


def _principal(centered: np.ndarray) -> np.ndarray:
    """The first `SHOWN` principal components of rows (N, D): float32 (D, up to `SHOWN`), by the smaller Gram matrix."""
    gram = centered @ centered.T if len(centered) < centered.shape[1] else centered.T @ centered
    largest = np.linalg.eigh(gram)[1][:, ::-1][:, :SHOWN]
    directions = centered.T @ largest if len(centered) < centered.shape[1] else largest
    return (directions / np.maximum(np.linalg.norm(directions, axis=0), 1e-12)).astype(np.float32)


@dataclass(frozen=True)
class Chosen:
    """The choice of a role in a frame in which it is there."""

    candidate: int
    nearest: int
    """The candidate that is nearest in this frame alone."""
    margin: float
    """How much nearer it is than the next, in shares of how much nearer it is for itself; negative: that is nearer."""
    changed: bool
    vector: np.ndarray


class FilmChoices:
    """Chooses the avatar's parts in a film, frame by frame."""

    def __init__(self, comparer: Comparer, *, keep: float, hold: int) -> None:
        """Choices that stay until another part is nearer by `keep` for `hold` frames."""
        self.comparer, self.hold = comparer, hold
        self._choosers = {role: Hysteresis(comparer.apart(role), keep=keep, hold=hold) for role in comparer.domains}

    @property
    def candidates(self) -> dict[PartRole, int]:
        """The chosen candidate of each role that was there in some frame."""
        return {role: chooser.chosen for role, chooser in self._choosers.items() if chooser.chosen is not None}

    def _margin(self, role: PartRole, distances: np.ndarray) -> float:
        chooser = self._choosers[role]
        assert chooser.chosen is not None
        others = np.delete(distances - min(distances[chooser.chosen], 1e9), chooser.chosen)
        apart = np.delete(chooser.apart[chooser.chosen], chooser.chosen)
        return max(float((others / np.maximum(apart, 1e-9)).min(initial=1)), -1.0)

    def next(self, parts: Mapping[PartRole, Part]) -> dict[PartRole, Chosen]:
        """The choices for the next frame that has a face, of the roles that it shows."""
        chosen: dict[PartRole, Chosen] = {}
        for role, (vector, distances) in self.comparer.compare(parts).items():
            before = self._choosers[role].chosen
            candidate = self._choosers[role].choose(distances)
            changed = before is not None and candidate != before
            chosen[role] = Chosen(candidate, int(distances.argmin()), self._margin(role, distances), changed, vector)
        return chosen


def name_of(choice: Choice) -> str:
    """A choice in a word or two: its variants, but for hidden components."""
    shown: Sequence[str] = [variant for variant in choice.values() if variant != NONE]
    return " + ".join(shown) or NONE
