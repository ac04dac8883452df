"""Which part an image belongs to: a stable function of its id, so that adding images moves none.

Near-duplicates go where the first of them goes, in the order of ids: added images follow those that were there, as
long as their ids come after.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Part = Literal["train", "validation", "test"]


def hash_fraction(id: str, salt: str) -> float:
    """A number in [0, 1), uniform over ids and independent between salts (SHA-256 of both)."""
    return int.from_bytes(hashlib.sha256(f"{salt}:{id}".encode()).digest()[:8], "big") / 2**64


def part(id: str, salt: str, validation: float, test: float) -> Part:
    """The part of an image: `test` and `validation` are the shares that are kept from training."""
    place = hash_fraction(id, salt)
    return "test" if place < test else "validation" if place < test + validation else "train"


def leaders(ids: Sequence[str], pairs: Iterable[tuple[int, int]]) -> dict[str, str]:
    """For each of the ids, which are in order, the first that it is connected with through pairs of their indices."""
    links = np.array(list(pairs), int).reshape(-1, 2)
    graph = coo_array((np.ones(len(links)), (links[:, 0], links[:, 1])), (len(ids), len(ids)))
    _, groups = connected_components(graph, directed=False)
    _, first = np.unique(groups, return_index=True)
    return {id: ids[first[group]] for id, group in zip(ids, groups, strict=True)}


def held_out(id: str, holdout: float) -> bool:
    """Whether a portrait is kept from the training of VAE and GauGAN, and only measured on."""
    return hash_fraction(id, "holdout") < holdout
