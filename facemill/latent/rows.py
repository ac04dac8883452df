"""Rows of products that were made from the same portraits: side by side, drawn, held out."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np

from facemill.data.shards import decode_image, decode_mask, open_shard, read_rows
from facemill.data.splits import hash_fraction
from facemill.errors import UserError
from facemill.imaging.colors import REGIONS
from facemill.latent.attribute_vectors import Labels
from facemill.latent.tag_portraits import GROUPS

Product = tuple[Sequence[Path], list[str]]
"""Shards of a product in order, and the columns wanted of them."""


def joined_rows(first: Product, *others: Product) -> Iterator[dict]:
    """Yields the rows of the first product with what the others say of the same ids, each as one dict.

    All products have their rows in the same order; the first may lack some of them. Raises `UserError` where another
    lacks one of the first.
    """
    streams = [(paths, read_rows(paths, ["id", *columns])) for paths, columns in others]
    for row in read_rows(first[0], ["id", *first[1]]):
        atomic_write = dict(row)
        for paths, stream in streams:
            found = next((other for other in stream if other["id"] == row["id"]), None)
            if found is None:
                raise UserError(
                    f"{paths[0]}: has no id {row['id']} where {first[0][0]} has it; "
                    "accepted: shards made from the same portraits"
                )
            atomic_write |= found
        yield atomic_write


def labels_of(rows: Sequence[dict], groups: Collection[str], booleans: Collection[str]) -> Labels:
    """What rows of tags say of exclusive groups and of booleans; a name that is both counts as a boolean alone."""
    has = {name: np.array([name in row["tags"] for row in rows], bool) for name in booleans}
    names = {group: [None if row[group] in booleans else row[group] for row in rows] for group in groups}
    return Labels(names, has)


def control_columns(rows: Sequence[dict], preserve: Sequence[str], booleans: Collection[str]) -> dict[str, np.ndarray]:
    """What vectors shall leave as it is, in numbers: the colors (N, 3) of regions, booleans (N, 1).

    A region stands under the name of the group that names its color, where there is one; regions without any color
    are left out. Raises `UserError` for a name that is neither a region nor one of the booleans.
    """
    if unknown := [name for name in preserve if name not in REGIONS and name not in booleans]:
        accepted = ", ".join([*REGIONS, *booleans])
        raise UserError(f"attributes.preserve: found {unknown[0]!r}; accepted: a region or a boolean: {accepted}")
    group_of = {region: group for group, region in GROUPS.items()}
    columns = {}
    for name in preserve:
        if name in REGIONS:
            colors = [[np.nan] * 3 if row[name] is None else row[name] for row in rows]
            columns[group_of.get(name, name)] = np.array(colors, float)
        else:
            columns[name] = np.array([[name in row["tags"]] for row in rows], float)
    return {name: numbers for name, numbers in columns.items() if not np.isnan(numbers).all()}


def official_test_ids(portraits: Sequence[Path]) -> set[str]:
    """The ids of portraits that the collection itself keeps for tests, as CelebA's partition does."""
    named = [path for path in portraits if "split" in open_shard(path).schema_arrow.names]
    return {row["id"] for row in read_rows(named, ["id", "split"]) if row["split"] == "test"}


def sample_ids(ids: Collection[str], count: int, salt: str) -> list[str]:
    """At most `count` of the ids in random order; an id that joins the collection takes the place of one at most."""
    return sorted(ids, key=lambda id: hash_fraction(id, salt))[:count]


def images_of(portraits: Sequence[Path], ids: Collection[str]) -> dict[str, np.ndarray]:
    """The portraits with these ids, decoded: uint8 RGB (H, W, 3) each."""
    return {id: decode_image(encoded) for id, encoded in _encoded(portraits, "image", set(ids))}


def masks_of(pseudo_labels: Sequence[Path], ids: Collection[str]) -> dict[str, np.ndarray]:
    """The masks of the portraits with these ids, decoded: class ids, uint8 (H, W) each."""
    return {id: decode_mask(encoded) for id, encoded in _encoded(pseudo_labels, "mask", set(ids))}


def _encoded(paths: Sequence[Path], column: str, ids: set[str]) -> Iterator[tuple[str, bytes]]:
    for row in read_rows(paths, ["id", column]):
        if row["id"] in ids:
            yield row["id"], row[column]["bytes"]
