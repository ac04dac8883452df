"""Splits of a collection: stable functions of an image's id, so that added images move no others.

Near-duplicates are in the split of their representative, the first of them in the order of ids: added images follow
those that were there, as long as their ids come after.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Split = Literal["train", "validation", "test"]


def hash_fraction(row_id: str, salt: str) -> float:
    """A number in [0, 1), uniform over ids and independent between salts (SHA-256 of both)."""
    return int.from_bytes(hashlib.sha256(f"{salt}:{row_id}".encode()).digest()[:8], "big") / 2**64


def split_of(row_id: str, salt: str, validation: float, test: float) -> Split:
    """The split of an image; `validation` and `test` are the shares of these splits."""
    fraction = hash_fraction(row_id, salt)
    return "test" if fraction < test else "validation" if fraction < test + validation else "train"


def group_representatives(ids: Sequence[str], pairs: Iterable[tuple[int, int]]) -> dict[str, str]:
    """The representative of each id: the first id that is connected with it.

    Args:
        ids: in order.
        pairs: connections, as indices into `ids`.
    """
    links = np.array(list(pairs), int).reshape(-1, 2)
    graph = coo_array((np.ones(len(links)), (links[:, 0], links[:, 1])), (len(ids), len(ids)))
    _, groups = connected_components(graph, directed=False)
    _, first = np.unique(groups, return_index=True)
    return {member: ids[first[group]] for member, group in zip(ids, groups, strict=True)}


def held_out(row_id: str, holdout: float) -> bool:
    """Whether a portrait is held out: VAE and GauGAN never train on it, and are evaluated on it."""
    return hash_fraction(row_id, "holdout") < holdout
