"""Mean and deviation of each role's descriptors over a domain: portraits of a collection, or parts of a style."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from facemill.avatars.descriptors import BLOCKS, DIMENSIONS
from facemill.avatars.styles import PartRole
from facemill.errors import Damaged, UserError
from facemill.files import atomic_write

_LEAST = (0.3, 0.5, 0.1)  # deviations in each block: smaller ones are no larger measure of differences
_SAME = (0.1, 0.2, 0.05)  # difference of means in each block that two domains may have by chance


@dataclass(frozen=True)
class Statistics:
    """Mean and deviation of each role's descriptors, float32 (DIMENSIONS,) each."""

    means: Mapping[str, np.ndarray]
    deviations: Mapping[str, np.ndarray]

    @classmethod
    def of(
        cls, descriptors: Mapping[PartRole, np.ndarray], weights: Mapping[PartRole, np.ndarray] | None = None
    ) -> Self:
        """The statistics of descriptors, float32 (N, DIMENSIONS) for each role; a role with N = 0 has none.

        With `weights`, (N,) for each role, rows count as often as these say.
        """
        return cls.of_batches([descriptors], weights)

    @classmethod
    def of_batches(
        cls,
        batches: Iterable[Mapping[PartRole, np.ndarray]],
        weights: Mapping[PartRole, np.ndarray] | None = None,
    ) -> Self:
        """The statistics of descriptors that come in batches, all of the same weights, if any."""
        sums: dict[str, np.ndarray] = {}
        for batch in batches:
            for role, rows in batch.items():
                values = rows.astype(np.float64)
                counts = np.ones(len(values)) if weights is None else weights[role]
                moments = np.stack([np.ones(DIMENSIONS) * counts.sum(), counts @ values, counts @ values**2])
                sums[role] = sums.get(role, 0) + moments
        sums = {role: moments for role, moments in sums.items() if moments[0, 0]}
        means = {role: total / count for role, (count, total, _) in sums.items()}
        variances = {
            role: np.maximum(squares / count - means[role] ** 2, 0) for role, (count, _, squares) in sums.items()
        }
        return cls(
            {role: mean.astype(np.float32) for role, mean in means.items()},
            {role: np.sqrt(variance).astype(np.float32) for role, variance in variances.items()},
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads the statistics; raises `UserError` when there are none, `Damaged` when they are not as written."""
        try:
            tensors = load_file(path)
            if {tensor.shape for tensor in tensors.values()} != {(DIMENSIONS,)}:
                raise ValueError(f"it does not hold vectors of {DIMENSIONS} numbers")
            roles = [name.removesuffix(".mean") for name in tensors if name.endswith(".mean")]
            return cls({r: tensors[f"{r}.mean"] for r in roles}, {r: tensors[f"{r}.deviation"] for r in roles})
        except FileNotFoundError as error:
            raise UserError(f"{path}: no such file; accepted: statistics that describe_collection wrote") from error
        except (SafetensorError, ValueError, KeyError) as error:
            raise Damaged(path, error) from error

    def save(self, path: Path) -> None:
        """Writes the statistics as safetensors, atomically."""
        tensors = {f"{role}.mean": mean for role, mean in self.means.items()}
        tensors |= {f"{role}.deviation": deviation for role, deviation in self.deviations.items()}
        with atomic_write(path) as tmp:
            save_file(tensors, tmp)

    def standardize(self, role: PartRole, descriptors: np.ndarray, library: "Statistics | None" = None) -> np.ndarray:
        """Descriptors of a role without the domain's mean, in its deviations: float32 (N, DIMENSIONS).

        Args:
            role: one that the domain has.
            descriptors: float32 (N, DIMENSIONS).
            library: of the parts that these are compared with. Where the domains' means differ by no more than they
                may by chance (other variants are frequent there, not other shapes), they count as the same; beyond,
                the difference counts less that much.
        """
        mean = self.means[role]
        if library is not None:
            apart = mean - library.means[role]
            mean = library.means[role] + np.sign(apart) * np.maximum(np.abs(apart) - _by_block(_SAME), 0)
        deviation = np.maximum(self.deviations[role], _by_block(_LEAST))
        return ((descriptors - mean) / deviation).astype(np.float32)


def _by_block(values: tuple[float, float, float]) -> np.ndarray:
    """A number of each block for each number of a descriptor: float32 (DIMENSIONS,)."""
    return np.repeat(np.array(values, np.float32), [block.stop - block.start for block in BLOCKS])
