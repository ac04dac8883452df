"""A drawing style's library of parts, and the parts in it that are most similar to a portrait's."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa

from facemill.avatars.descriptors import BLOCKS, DIMENSIONS, mirrored
from facemill.avatars.statistics import Statistics
from facemill.avatars.styles import Choice, DrawingStyle, PartRole
from facemill.data.shards import read_table
from facemill.errors import Damaged, UserError

NEAREST = 5
"""Candidates that a match names at most."""

Weights = tuple[float, float, float]
"""Of the silhouette, the gray values and the proportions in a distance."""

EVEN: Weights = (0.5, 0.5, 0.1)
"""Weights where none were chosen."""

_GRAY_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
_PROPORTIONS = (0.0, 0.03, 0.1, 0.3, 1.0)
_MIRROR_FACTOR = 1.02  # so that of two variants that mirror one another the true one wins


@dataclass(frozen=True)
class Nearest:
    """The candidates nearest to each of B parts, K at most `NEAREST`."""

    candidates: np.ndarray
    """Distinct candidates, nearest first: int (B, K)."""
    distances: np.ndarray
    """Their distances: float32 (B, K)."""

    @property
    def margin(self) -> np.ndarray:
        """By which share the second is farther than the first: float32 (B,), 1 where there is no second."""
        if self.distances.shape[1] < 2:
            return np.ones(len(self.distances), np.float32)
        return 1 - self.distances[:, 0] / np.maximum(self.distances[:, 1], 1e-12)


@dataclass(frozen=True)
class Prototypes:
    """A role's parts in a library, standardized, with their mirror images."""

    descriptors: np.ndarray
    """float32 (N, DIMENSIONS)."""
    candidates: np.ndarray
    """The candidate of each: int (N,)."""
    weights: Weights = EVEN

    def distances(self, queries: np.ndarray) -> np.ndarray:
        """From standardized descriptors (B, DIMENSIONS) to each candidate's nearest part: float32 (B, C).

        A distance is the root of the weighted sum of the blocks' mean squared differences.
        """
        scale, parts, norms, order, starts = self._index
        scaled = queries * scale
        squares = (scaled**2).sum(1)[:, None] + norms - 2 * scaled @ parts
        upright, mirror = np.split(np.sqrt(np.maximum(squares, 0)), 2, axis=1)
        nearer = np.minimum(upright, mirror * _MIRROR_FACTOR)[:, order]
        distances = np.full((len(queries), self.candidates.max() + 1), np.inf, np.float32)
        distances[:, self.candidates[order[starts]]] = np.minimum.reduceat(nearer, starts, axis=1)
        return distances

    @cached_property
    def _index(self) -> tuple[np.ndarray, ...]:
        """The blocks' scale, parts and mirror images scaled, their squares, parts in candidates' order, its starts."""
        scale = _scale(self.weights)
        parts = self.descriptors * scale
        both = np.concatenate([parts, mirrored(parts)])
        order = self.candidates.argsort(kind="stable")
        starts = np.unique(self.candidates[order], return_index=True)[1]
        return scale, np.ascontiguousarray(both.T), (both**2).sum(1), order, starts

    def top_1(self, queries: np.ndarray, truths: np.ndarray) -> float:
        """The share of standardized descriptors whose nearest candidate is the true one, int (B,)."""
        return float((self.distances(queries).argmin(1) == truths).mean())


def _scale(weights: Weights) -> np.ndarray:
    scale = np.empty(DIMENSIONS, np.float32)
    for block, weight in zip(BLOCKS, weights, strict=True):
        scale[block] = np.sqrt(weight / (block.stop - block.start))
    return scale


@dataclass(frozen=True)
class Library:
    """The parts of a drawing style."""

    style: DrawingStyle
    roles: Mapping[PartRole, tuple[Choice, ...]]
    """The candidates of each role."""
    statistics: Statistics
    """Of its own parts."""
    prototypes: Mapping[PartRole, Prototypes]
    means: Mapping[PartRole, np.ndarray]
    """Each candidate's mean descriptor, not standardized, NaN for one that draws nothing: float32 (C, DIMENSIONS)."""

    @classmethod
    def load(cls, parts: Path, about: Path) -> Self:
        """Reads the parts of a style and the JSON about them; raises `UserError` or `Damaged` when it cannot."""
        try:
            facts = json.loads(about.read_bytes())
            style, roles, weights = DrawingStyle.load(facts["style"]), facts["roles"], facts["weights"]
        except FileNotFoundError as error:
            raise UserError(f"{about}: no such file; accepted: what render_parts wrote") from error
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{about}: says nothing of a style's parts; accepted: what render_parts wrote") from error
        table = read_table(parts, ["role", "candidate", "descriptor"])
        names = np.array(table["role"].to_pylist())
        rows = {role: table.filter(pa.array(names == role)) for role in roles}
        try:
            descriptors = {role: descriptors_of(part) for role, part in rows.items()}
        except ValueError as error:
            raise Damaged(parts, error) from error
        candidates = {role: part["candidate"].to_numpy() for role, part in rows.items()}
        return cls.of(style, roles, descriptors, candidates, {r: tuple(w) for r, w in weights.items()})

    @classmethod
    def of(
        cls,
        style: DrawingStyle,
        roles: Mapping[PartRole, tuple[Choice, ...]],
        descriptors: Mapping[PartRole, np.ndarray],
        candidates: Mapping[PartRole, np.ndarray],
        weights: Mapping[PartRole, Weights],
    ) -> Self:
        """A library of descriptors (N, DIMENSIONS) and candidates (N,) for each role."""
        shares = {role: row_weights(candidates[role], style.frequencies(roles[role])) for role in descriptors}
        statistics = Statistics.of(descriptors, shares)
        prototypes = {
            role: Prototypes(statistics.standardize(role, rows), candidates[role], weights.get(role, EVEN))
            for role, rows in descriptors.items()
            if len(rows)
        }
        means = {role: _means(rows, candidates[role], len(roles[role])) for role, rows in descriptors.items()}
        return cls(style, roles, statistics, prototypes, means)

    def nearest(
        self, role: PartRole, descriptors: np.ndarray, statistics: Statistics, excluded: np.ndarray | None = None
    ) -> Nearest:
        """The candidates nearest to parts of a domain.

        Args:
            role: one that the library has.
            descriptors: of the parts, float32 (B, DIMENSIONS).
            statistics: of their domain; where it lacks the role, the library's own count.
            excluded: candidates that are no answer for a part, bool (B, C); they come last, infinitely far.
        """
        domain = statistics if role in statistics.means else self.statistics
        distances = self.prototypes[role].distances(domain.standardize(role, descriptors, self.statistics))
        if excluded is not None:
            distances[excluded[:, : distances.shape[1]]] = np.inf
        order = distances.argsort(1, kind="stable")[:, :NEAREST]
        return Nearest(order, np.take_along_axis(distances, order, 1))

    def choices(self, role: PartRole, index: int) -> Choice:
        """The candidate of a role with this index."""
        return self.roles[role][index]


def _means(descriptors: np.ndarray, candidates: np.ndarray, count: int) -> np.ndarray:
    means = np.full((count, DIMENSIONS), np.nan, np.float32)
    for candidate in np.unique(candidates):
        means[candidate] = descriptors[candidates == candidate].mean(0)
    return means


def descriptors_of(table: pa.Table) -> np.ndarray:
    """The column `descriptor` of a table: float32 (N, DIMENSIONS). Raises `ValueError` where one has another length."""
    flat = table["descriptor"].combine_chunks().flatten().to_numpy()
    return flat.reshape(len(table), DIMENSIONS)


def row_weights(candidates: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """How much each row of a library counts, so that candidates count as often as a style draws them: float64 (N,).

    Else the domain of a style with many beards would be bearded, and faces without a beard stand out for having one.

    Args:
        candidates: the candidate of each row, int (N,).
        frequencies: of the candidates, float64 (C,).
    """
    return (frequencies / np.maximum(np.bincount(candidates, minlength=len(frequencies)), 1))[candidates]


def choose_weights(
    descriptors: np.ndarray,
    candidates: np.ndarray,
    queries: np.ndarray,
    truths: np.ndarray,
    shares: np.ndarray | None = None,
) -> Weights:
    """The weights, of a 5 x 5 grid, with which most queries come back to their candidate.

    Of nearly equal ones those that count least on gray values and proportions, which differ more between domains than
    silhouettes do, then those that leave the nearest other candidate farther away.

    Args:
        descriptors: of a role's parts in the library, float32 (N, DIMENSIONS), not standardized.
        candidates: the candidate of each, int (N,).
        queries: of the same role in rendered portraits, float32 (B, DIMENSIONS), not standardized.
        truths: the candidate of each query, int (B,).
        shares: how much each part of the library counts in its statistics (`row_weights`).
    """
    standardized = standardize_both(descriptors, queries, shares)
    grid = [(1 - share, share, proportions) for share in _GRAY_SHARES for proportions in _PROPORTIONS]
    return max(
        grid, key=lambda weights: _fitness(Prototypes(standardized[0], candidates, weights), standardized[1], truths)
    )


def standardize_both(
    descriptors: np.ndarray, queries: np.ndarray, shares: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """A role's parts in a library and parts of another domain, standardized so that they can be compared."""
    library = Statistics.of({"face": descriptors}, None if shares is None else {"face": shares})
    domain = Statistics.of({"face": queries})
    return library.standardize("face", descriptors), domain.standardize("face", queries, library)


def _fitness(prototypes: Prototypes, queries: np.ndarray, truths: np.ndarray) -> float:
    """Top-1, less for gray values and proportions, and as its decimals how clear the choices are."""
    distances = prototypes.distances(queries)
    rows = np.arange(len(truths))
    true = distances[rows, truths]
    distances[rows, truths] = np.inf
    other = np.minimum(distances.min(1), 1e6)  # a role may have one candidate
    _, gray, proportions = prototypes.weights
    clear = np.clip((other - true) / np.maximum(other, 1e-12), -1, 1)
    return float((true < other).mean() + 0.01 * clear.mean() - 0.1 * gray - 0.06 * proportions)
