"""Splits of a collection: stable functions of an image's id, so that added images move no others.

All portraits of an image are in one split. Of labelled portraits near-duplicates too: they are in the split of their
representative, the first of them in the order of ids, so that added images follow those that were there, as long as
their ids come after.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from facemill.data.names import image_of
from facemill.data.shards import open_shard, read_rows

Split = Literal["train", "validation", "test"]


def hash_fraction(row_id: str, salt: str) -> float:
    """A number in [0, 1), uniform over images and independent between salts (SHA-256 of both).

    It is the same for all portraits of an image, so that nothing that is divided by it divides them.
    """
    return int.from_bytes(hashlib.sha256(f"{salt}:{image_of(row_id)}".encode()).digest()[:8], "big") / 2**64


def split_of(row_id: str, salt: str, validation: float, test: float) -> Split:
    """The split of a portrait; `validation` and `test` are the shares of these splits."""
    fraction = hash_fraction(row_id, salt)
    return "test" if fraction < test else "validation" if fraction < test + validation else "train"


def labels_split_of(row_id: str, seed: int, validation: float, test: float) -> Split:
    """The split of a labelled portrait, or of the group of near-duplicates that it represents."""
    return split_of(row_id, f"labels-{seed}", validation, test)


def other_shares(representatives: Iterable[str], seed: int, validation: float, test: float) -> str:
    """The shares nearest to these, and a seed with these, that give each split a labelled portrait, in words."""
    ids = sorted(set(representatives))
    if len(ids) < 3:
        return f"3 or more that are no near-duplicates of each other, not {len(ids)}"

    def are_enough(seed: int, validation: float, test: float) -> bool:
        return len({labels_split_of(row_id, seed, validation, test) for row_id in ids}) == 3

    steps = [percent / 100 for percent in range(1, 100)]
    pairs = ((a, b) for a in steps for b in steps if a + b < 1)
    nearest = sorted(pairs, key=lambda pair: abs(pair[0] - validation) + abs(pair[1] - test))
    shares = next((pair for pair in nearest if are_enough(seed, *pair)), None)
    words = [f"labels.validation {shares[0]:g} and labels.test {shares[1]:g}"] if shares else []
    other_seed = next((other for other in range(1000) if are_enough(other, validation, test)), None)
    words += [f"seed {other_seed} with these shares"] if other_seed is not None else []
    return f"such as {', or '.join(words)}" if words else "more labelled portraits"


def group_representatives(ids: Sequence[str], pairs: Iterable[tuple[int, int]]) -> dict[str, str]:
    """The representative of each id: the first id that is connected with it, or is of the same image.

    Args:
        ids: in order.
        pairs: connections, as indices into `ids`.
    """
    first_of: dict[str, int] = {}
    of_one_image = [(first_of.setdefault(image_of(row_id), i), i) for i, row_id in enumerate(ids)]
    links = np.array([*pairs, *of_one_image], int).reshape(-1, 2)
    graph = coo_array((np.ones(len(links)), (links[:, 0], links[:, 1])), (len(ids), len(ids)))
    _, groups = connected_components(graph, directed=False)
    _, first = np.unique(groups, return_index=True)
    return {member: ids[first[group]] for member, group in zip(ids, groups, strict=True)}


def held_out(row_id: str, holdout: float) -> bool:
    """Whether a portrait is held out: VAE and GauGAN never train on it, and are evaluated on it."""
    return hash_fraction(row_id, "holdout") < holdout


def in_choice(row_id: str) -> bool:
    """Whether settings are chosen by the scores of a held-out portrait; those of the others are reported."""
    return hash_fraction(row_id, "choice") < 0.5


def official_test_ids(portraits: Sequence[Path]) -> set[str]:
    """The ids of the test split that the collection itself defines, as CelebA's partition does."""
    with_split = [path for path in portraits if "split" in open_shard(path).schema_arrow.names]
    return {row["id"] for row in read_rows(with_split, ["id", "split"]) if row["split"] == "test"}


def trained_on(portraits: Sequence[Path], holdout: float) -> Callable[[str], bool]:
    """Whether VAE and GauGAN train on a portrait: neither held out nor of the collection's own test split."""
    test_ids = official_test_ids(portraits)
    return lambda row_id: row_id not in test_ids and not held_out(row_id, holdout)
