"""Rows of products that were made from the same portraits: joined, sampled, decoded."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np

from facemill.data.classes import ClassTable
from facemill.data.shards import decode_image, decode_mask, read_rows
from facemill.data.splits import hash_fraction
from facemill.errors import UserError

Product = tuple[Sequence[Path], list[str]]
"""Shards of a product in order, and the columns to read."""


def joined_rows(first: Product, *others: Product) -> Iterator[dict]:
    """Yields the rows of the first product joined with those of the others by id, each as one dict.

    All products have their rows in the same order; the first may lack some of them. Raises `UserError` where another
    product lacks an id of the first.
    """
    streams = [(paths, read_rows(paths, ["id", *columns])) for paths, columns in others]
    for row in read_rows(first[0], ["id", *first[1]]):
        joined = dict(row)
        for paths, stream in streams:
            match = next((other for other in stream if other["id"] == row["id"]), None)
            if match is None:
                raise UserError(
                    f"{paths[0]}: has no id {row['id']} where {first[0][0]} has it; "
                    "accepted: shards made from the same portraits"
                )
            joined |= match
        yield joined


def sample_ids(ids: Collection[str], count: int, salt: str) -> list[str]:
    """At most `count` of the ids in random order; an id that joins the collection replaces at most one."""
    return sorted(ids, key=lambda row_id: (hash_fraction(row_id, salt), row_id))[:count]


def images_of(portraits: Sequence[Path], ids: Collection[str]) -> dict[str, np.ndarray]:
    """The portraits with these ids, decoded: uint8 RGB (H, W, 3) each."""
    return {row_id: decode_image(encoded) for row_id, encoded in _encoded(portraits, "image", set(ids))}


def masks_of(pseudo_labels: Sequence[Path], ids: Collection[str], classes: ClassTable) -> dict[str, np.ndarray]:
    """The masks of the portraits with these ids, decoded: class ids, uint8 (H, W) each."""
    return {row_id: decode_mask(encoded, classes) for row_id, encoded in _encoded(pseudo_labels, "mask", set(ids))}


def _encoded(paths: Sequence[Path], column: str, ids: set[str]) -> Iterator[tuple[str, bytes]]:
    for row in read_rows(paths, ["id", column]):
        if row["id"] in ids:
            yield row["id"], row[column]["bytes"]
