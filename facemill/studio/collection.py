"""The collection's portraits that the studio offers as styles and masks, the held-out ones first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from facemill.data.classes import ClassTable
from facemill.data.shards import decode_image, decode_mask, encode_jpeg, read_rows, rows_at
from facemill.data.splits import trained_on

MOST = 60
"""Portraits that are offered."""

COLUMNS = 6
THUMBNAIL = 96
"""Height of a thumbnail, in pixels."""


@dataclass(frozen=True)
class CollectionPortrait:
    """A portrait of the collection with its mask."""

    name: str
    image: bytes
    """JPEG or PNG."""
    mask: np.ndarray
    """Class ids, uint8 (H, W); of no pixels where the collection has no masks."""
    z: list[float] | None = None
    """Its style code; None where the model reads none."""

    @property
    def pixels(self) -> np.ndarray:
        """uint8 RGB (H, W, 3)."""
        return decode_image(self.image)


class Sheet(NamedTuple):
    """Thumbnails side by side as one JPEG, with their number, the columns, and the size of each: (height, width)."""

    header: dict[str, Any]
    body: bytes


def read_collection(
    portraits: Sequence[Path], masks: Sequence[Path], classes: ClassTable, holdout: float | None
) -> list[CollectionPortrait]:
    """The first `MOST` portraits in shards: those on which GauGAN never trained, then others.

    Args:
        portraits: shards of portraits.
        masks: shards of their pseudo-labels, in the same order; none where there are no masks.
        classes: the class table of the masks.
        holdout: share of the portraits that are held out; None where it is unknown.
    """
    indices = list(_first(portraits, holdout))
    images = rows_at(portraits, indices, ["id", "image"])
    labels = rows_at(masks, indices, ["id", "mask"]) if masks else {}
    offered = []
    for index in indices:
        row, label = images[index], labels.get(index)
        is_its = label is not None and label["id"] == row["id"]
        mask = decode_mask(label["mask"]["bytes"], classes) if label and is_its else np.zeros((0, 0), np.uint8)
        offered.append(CollectionPortrait(row["id"], row["image"]["bytes"], mask))
    return offered


def _first(portraits: Sequence[Path], holdout: float | None) -> Iterator[int]:
    """The indices of the portraits, counted through all shards."""
    is_trained_on = trained_on(portraits, holdout or 0)
    trained: list[int] = []

    def held_out() -> Iterator[int]:
        """Those on which GauGAN never trained; on the way the others go to `trained`."""
        for index, row in enumerate(read_rows(portraits, ["id"])):
            if not is_trained_on(row["id"]):
                yield index
            elif len(trained) < MOST:
                trained.append(index)

    yield from islice(chain(held_out(), trained), MOST)


def thumbnails(portraits: Sequence[CollectionPortrait]) -> Sheet:
    """A sheet of thumbnails, shrunk by averaging."""
    if not portraits:
        return Sheet({"count": 0, "size": (0, 0), "columns": COLUMNS}, b"")
    height, width = portraits[0].pixels.shape[:2]
    size = (THUMBNAIL, max(1, round(THUMBNAIL * width / height)))
    sheet = np.full((-(-len(portraits) // COLUMNS) * size[0], COLUMNS * size[1], 3), 128, np.uint8)
    for number, portrait in enumerate(portraits):
        top, left = number // COLUMNS * size[0], number % COLUMNS * size[1]
        small = cv2.resize(portrait.pixels, size[::-1], interpolation=cv2.INTER_AREA)
        sheet[top : top + size[0], left : left + size[1]] = small
    return Sheet({"count": len(portraits), "size": size, "columns": COLUMNS}, encode_jpeg(sheet, 90))
