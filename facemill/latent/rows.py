"""Rows of products that were made from the same portraits: side by side, drawn, held out."""

from collections.abc import Collection, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

import numpy as np

from facemill.errors import BadInput
from facemill.shards import decode_image, decode_mask, read_rows
from facemill.splits import fraction

Product = tuple[Sequence[Path], list[str]]
"""Shards of a product in order, and the columns wanted of them."""


def joined_rows(*products: Product) -> Iterator[dict]:
    """Yields the rows of products with the same ids in the same order, each as one dict of `id` and all columns.

    Raises `BadInput` where the products part.
    """
    streams = [read_rows(paths, ["id", *columns]) for paths, columns in products]
    for number, rows in enumerate(zip_longest(*streams, fillvalue={"id": None})):
        ids = [row["id"] for row in rows]
        for (paths, _), id in zip(products, ids, strict=True):
            if id != ids[0]:
                raise BadInput(
                    f"{paths[0]}: row {number} has id {id}, where {products[0][0][0]} has {ids[0]}; "
                    "accepted: shards made from the same portraits"
                )
        yield {key: value for row in rows for key, value in row.items()}


def drawn(ids: Collection[str], count: int, salt: str) -> list[str]:
    """At most `count` of the ids in random order; an id that joins the collection takes the place of one at most."""
    return sorted(ids, key=lambda id: fraction(id, salt))[:count]


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
