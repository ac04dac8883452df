"""What is measured of an extractor: whether parts come back, whether choices are stable, what its numbers tell."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any, Literal

import numpy as np

from facemill.avatars.compared_parts import ComparedParts, StyleRole
from facemill.avatars.extractors import Extractor, Shape
from facemill.avatars.measured import SAMPLE_STYLE
from facemill.avatars.regions import Part
from facemill.avatars.stability import effective, mean_of_styles
from facemill.avatars.styles import PartRole

Mode = Literal["plain", "standardized"]
"""Whether vectors are compared as they are, or standardized within their domain: portraits, or a style's parts."""

MODES: tuple[Mode, ...] = ("plain", "standardized")

SAME = 1e-6
"""Deviation, or distance, below which numbers are the same."""


@dataclass(frozen=True)
class Vectors:
    """What an extractor makes of `ComparedParts`, field by field: float32 (N, D) each."""

    libraries: Mapping[StyleRole, np.ndarray]
    drawn: Mapping[StyleRole, np.ndarray]
    collection: Mapping[PartRole, np.ndarray]
    moved: Mapping[PartRole, tuple[np.ndarray, np.ndarray]]
    own: Mapping[PartRole, np.ndarray]
    film: Mapping[PartRole, np.ndarray]

    @classmethod
    def of(cls, extractor: Extractor, parts: ComparedParts) -> "Vectors":
        """Describes all parts, each once."""
        named = [*parts.libraries.values(), *parts.drawn.values(), *parts.own.values(), *parts.film.values()]
        of_moves = [side for of in parts.moved.values() for side in (of.before, of.after)]
        everything = [*(of.parts for of in named), *parts.collection.values(), *of_moves]
        distinct = {id(part): part for of in everything for part in of}
        rows = {key: row for row, key in enumerate(distinct)}
        vectors = extractor.describe(list(distinct.values()))

        def described(of: Sequence[Part]) -> np.ndarray:
            return vectors[[rows[id(part)] for part in of]]

        return cls(
            {key: described(of.parts) for key, of in parts.libraries.items()},
            {key: described(of.parts) for key, of in parts.drawn.items()},
            {role: described(of) for role, of in parts.collection.items()},
            {role: (described(of.before), described(of.after)) for role, of in parts.moved.items()},
            {role: described(of.parts) for role, of in parts.own.items()},
            {role: described(of.parts) for role, of in parts.film.items()},
        )


class Measures:
    """The measures of one extractor.

    Args:
        extractor: which.
        parts: what it is measured on.
        vectors: what it makes of them.
    """

    def __init__(self, extractor: Extractor, parts: ComparedParts, vectors: Vectors) -> None:
        self.extractor, self.parts, self.vectors = extractor, parts, vectors

    def summary(self) -> dict[str, Any]:
        """All measures.

        For each role, and as `mean`, how often the nearest part is the true one, by the extractor's own way of
        comparing, `native`: the share of parts that a style drew, as a mean over styles. Then what its numbers tell,
        and for both modes `retrieval` with `styles`, `own`, `portraits` and `film`.
        """
        native: Mode = "standardized" if self.extractor.name == "shape" else "plain"
        modes = {mode: self.by_mode(mode) for mode in MODES}
        return modes[native]["retrieval"] | {"native": native} | self.numbers() | modes

    def by_mode(self, mode: Mode) -> dict[str, Any]:
        """All measures that depend on how vectors are compared."""
        styles: dict[str, dict[PartRole, float]] = {}
        for (name, role), drawn in self.vectors.drawn.items():
            chosen = self.choose((name, role), drawn, drawn, mode)
            styles.setdefault(name, {})[role] = float((chosen == self.parts.drawn[name, role].names).mean())
        roles = {role for of in styles.values() for role in of}
        shares = {role: float(np.mean([of[role] for of in styles.values() if role in of])) for role in sorted(roles)}
        own = {
            role: float(
                (self._choose_of_portraits(SAMPLE_STYLE, role, vectors, mode) == self.parts.own[role].names).mean()
            )
            for role, vectors in self.vectors.own.items()
            if (SAMPLE_STYLE, role) in self.vectors.libraries
        }
        return {
            "retrieval": _with_mean(shares),
            "styles": {name: _with_mean(of) for name, of in styles.items()},
            "own": _with_mean(own) | {"n": max((len(of) for of in self.vectors.own.values()), default=0)},
            "portraits": self.portraits(mode),
            "film": {role: self.film(role, mode) for role in self.vectors.film},
        }

    def choose(self, key: StyleRole, queries: np.ndarray, domain: np.ndarray, mode: Mode) -> np.ndarray:
        """The name of the style's part that is nearest to each query: strings (N,)."""
        library = self.vectors.libraries[key]
        distances = self._distances(key, queries, domain, library, library, mode)
        return self.parts.libraries[key].names[distances.argmin(1)]

    def _choose_of_portraits(self, style: str, role: PartRole, queries: np.ndarray, mode: Mode) -> np.ndarray:
        return self.choose((style, role), queries, self.vectors.collection[role], mode)

    def _distances(
        self,
        key: StyleRole,
        queries: np.ndarray,
        domain: np.ndarray,
        library: np.ndarray,
        library_domain: np.ndarray,
        mode: Mode,
    ) -> np.ndarray:
        extractor = Shape(self.parts.weights[key]) if self.extractor.name == "shape" else self.extractor
        if mode == "standardized":
            queries = extractor.standardize(queries, domain, library_domain)
            library = extractor.standardize(library, library_domain)
        return extractor.distances(queries, library)

    def portraits(self, mode: Mode) -> dict[PartRole, dict[str, float | None]]:
        """Of the collection's portraits, by role, as means over styles.

        `unchanged`: the share of choices that a small move leaves; `effective`: the effective number of variants that
        the portraits choose, `of` how many there are, and `share` of these; `n` portraits, `moves` of them.
        """
        styles: dict[str, dict[PartRole, dict[str, float | int | None]]] = {}
        for name, role in self.vectors.libraries:
            if role in self.vectors.moved and role in self.vectors.collection:
                before, after = (self._choose_of_portraits(name, role, v, mode) for v in self.vectors.moved[role])
                chosen = self._choose_of_portraits(name, role, self.vectors.collection[role], mode)
                styles.setdefault(name, {})[role] = {
                    "unchanged": float((before == after).mean()),
                    "effective": effective(chosen.tolist()),
                    "of": len(set(self.parts.libraries[name, role].names)),
                }
        return {
            role: means | {"n": len(self.vectors.collection[role]), "moves": len(self.vectors.moved[role][0])}
            for role, means in mean_of_styles(styles).items()
        }

    def film(self, role: PartRole, mode: Mode) -> dict[str, float | int | None]:
        """Of the sample's film.

        While nothing happens: `differs`, the share of frames whose numbers are others than those of the frame before;
        `noise`, the mean distance between such frames over that between the film's variants; `unchanged`, the share of
        frames that keep the choice; `choices`, how many there are. Then `right`, the share of frames with the true
        variant, as a mean over variants, and `followed`: the share of the figure's `changes` after which the most
        frequent choice is another one.
        """
        filmed, vectors, key = self.parts.film[role], self.vectors.film[role], (SAMPLE_STYLE, role)
        if key not in self.vectors.libraries or role not in self.vectors.collection:
            return {}
        chosen = self._choose_of_portraits(SAMPLE_STYLE, role, vectors, mode)
        domain, still = self.vectors.collection[role], vectors[filmed.still]
        steps = np.diag(self._lengths(key, still, domain, mode), 1)
        means = np.stack([vectors[filmed.names == name].mean(0) for name in np.unique(filmed.names)])
        between = self._lengths(key, means, domain, mode)[~np.eye(len(means), dtype=bool)]
        of_still, changes = chosen[filmed.still], majority_changes(filmed.names, chosen)
        return {
            "n": len(chosen),
            "still": len(still),
            "differs": _mean(np.abs(np.diff(still, axis=0)).max(1) > SAME) if len(still) > 1 else None,
            "noise": _mean(steps) / max(float(between.mean()), SAME) if len(steps) and len(between) else None,
            "unchanged": _mean(of_still[1:] == of_still[:-1]) if len(still) > 1 else None,
            "choices": len(set(of_still.tolist())),
            "right": _mean([(chosen == filmed.names)[filmed.names == name].mean() for name in np.unique(filmed.names)]),
            "followed": _mean(changes) if changes else None,
            "changes": len(changes),
        }

    def _lengths(self, key: StyleRole, vectors: np.ndarray, domain: np.ndarray, mode: Mode) -> np.ndarray:
        """Distances among vectors of portraits' parts; where they are cosines, those between vectors of length 1."""
        distances = self._distances(key, vectors, domain, vectors, domain, mode)
        return distances if self.extractor.name == "shape" else np.sqrt(np.maximum(2 * distances, 0))

    def numbers(self) -> dict[str, Any]:
        """What the numbers tell of the collection's portraits.

        `dimensions`; `dead` ones that are the same for all parts, of the styles too; `effective_dimensions`, as
        means over roles: (sum of l)^2 / sum of l^2 over the eigenvalues l of their covariance; `cosine`, the mean
        cosine of two portraits' parts of one role, which is 1 where all are alike.
        """
        everything = np.concatenate([*self.vectors.collection.values(), *self.vectors.libraries.values()])
        spread, alike = [], []
        for of in self.vectors.collection.values():
            eigenvalues = np.linalg.svd(of - of.mean(0), compute_uv=False).astype(float) ** 2
            spread.append(eigenvalues.sum() ** 2 / max((eigenvalues**2).sum(), SAME))
            unit = of / np.maximum(np.linalg.norm(of, axis=1, keepdims=True), SAME)
            alike.append(((unit @ unit.T).sum() - len(of)) / max(len(of) * (len(of) - 1), 1))
        return {
            "dimensions": everything.shape[1],
            "dead": int((everything.std(0) < SAME).sum()),
            "effective_dimensions": _mean(spread),
            "cosine": _mean(alike),
        }


def majority_changes(truths: np.ndarray, chosen: np.ndarray) -> list[bool]:
    """For each change of the truth whether the most frequent choice of the frames after it is another than before."""
    start, most_frequent = 0, []
    for _, run in groupby(truths.tolist()):
        length = len(list(run))
        values, counts = np.unique(chosen[start : start + length], return_counts=True)
        most_frequent.append(values[counts.argmax()])
        start += length
    return [bool(a != b) for a, b in pairwise(most_frequent)]


def _mean(values: Any) -> float:
    return float(np.mean(values)) if len(values) else math.nan


def _with_mean(shares: Mapping[Any, float]) -> dict[str, float | None]:
    return {**shares, "mean": _mean(list(shares.values())) if shares else None}
