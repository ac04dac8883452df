"""Attribute vectors: displacements in latent space from one name of a group to another, or to a boolean."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from facemill.errors import UserError
from facemill.files import atomic_write, write_json


@dataclass(frozen=True)
class Vectors:
    """Attribute vectors, float (Z,) each."""

    groups: dict[str, list[str]]
    """The names of each exclusive group between which there are vectors."""
    pairs: dict[tuple[str, str], np.ndarray]
    """The vector from each name to each other of its group."""
    booleans: dict[str, np.ndarray]
    """The vector from portraits without an attribute to portraits with it."""

    def names(self) -> list[str]:
        """All targets of edits."""
        return [name for names in self.groups.values() for name in names] + list(self.booleans)

    def group_of(self, target: str) -> str | None:
        """The exclusive group of a target; None for a boolean."""
        return next((group for group, names in self.groups.items() if target in names), None)

    def step(self, source: str | bool, target: str) -> np.ndarray:
        """The vector that edits a portrait to `target`.

        Args:
            source: the portrait's name in the target's group; for a boolean target whether the portrait has it, and
                then the vector that removes it.
            target: one of `names`.
        """
        if isinstance(source, bool):
            return -self.booleans[target] if source else self.booleans[target]
        return self.pairs[source, target]

    def tensors(self) -> dict[str, np.ndarray]:
        """All vectors by their key in files, `<from>.<to>` or a boolean's name; of two opposite ones the first."""
        return {f"{a}.{b}": vector for (a, b), vector in self.pairs.items() if a < b} | self.booleans

    def save(self, path: Path, counts: Mapping[str, int], cosines: Mapping[str, float]) -> None:
        """Writes the vectors as safetensors (float32), and a JSON of the same name that describes them.

        Args:
            path: the safetensors file.
            counts: how many images have each name or boolean.
            cosines: cosine between the vectors of two halves of the images, by key.
        """
        tensors = self.tensors()
        metadata = {
            "groups": self.groups,
            "booleans": list(self.booleans),
            "images": {name: counts[name] for name in self.names()},
            "norms": {key: float(np.linalg.norm(vector)) for key, vector in tensors.items()},
            "split_half_cosine": {key: cosines.get(key) for key in tensors},
        }
        write_json(path.with_suffix(".json"), metadata)
        with atomic_write(path) as tmp:
            save_file({key: np.ascontiguousarray(vector, np.float32) for key, vector in tensors.items()}, tmp)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Vectors as `save` wrote them. Raises `UserError` when they cannot be read."""
        try:
            tensors, metadata = load_file(path), json.loads(path.with_suffix(".json").read_text())
            pairs = {}
            for group, names in metadata["groups"].items():
                if len(names) < 2:
                    raise ValueError(f"{group}: {len(names)} name; accepted: 2 or more")
                for a, b in combinations(names, 2):
                    pairs[a, b] = tensors[f"{a}.{b}"]
                    pairs[b, a] = -pairs[a, b]
            return cls(metadata["groups"], pairs, {name: tensors[name] for name in metadata["booleans"]})
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: not a readable file of vectors ({error})") from error
