"""The portraits of a collection on which avatars are measured: what earlier stages know of them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facemill.avatars.matching import descriptors_of
from facemill.avatars.regions import seven_ids
from facemill.avatars.retrieval import Descriptors
from facemill.avatars.styles import PartRole
from facemill.data.classes import ClassTable
from facemill.data.shards import decode_image, decode_mask, mask_classes, open_shard, read_rows

SAMPLE_STYLE = "toon-head"
"""The style in which the sample is drawn."""


@dataclass(frozen=True)
class Measured:
    """Portraits that have parts, in order."""

    ids: Sequence[str]
    descriptors: Sequence[Descriptors]
    openness: Sequence[float | None]
    """Of the mouths."""

    def at(self, ids: Collection[str]) -> list[int]:
        """The indices of some portraits, in the order of these."""
        return [i for i, row_id in enumerate(self.ids) if row_id in ids]


def rows_of(paths: Sequence[Path], ids: Collection[str], columns: list[str]) -> Iterator[pa.Table]:
    """Yields the rows of some ids with these columns, in order; row groups without any are not read."""
    wanted = pa.array(sorted(ids), pa.string())
    for path in paths:
        with open_shard(path) as shard:
            for group in range(shard.num_row_groups):
                inside = pc.is_in(shard.read_row_group(group, ["id"])["id"], wanted)
                if pc.any(inside).as_py():
                    yield shard.read_row_group(group, ["id", *columns]).filter(inside)


def read_measured(regions: Sequence[Path], ids: Collection[str]) -> Measured:
    """Reads the parts of some portraits from shards of regions."""
    descriptors: dict[str, dict[PartRole, np.ndarray]] = {}
    openness: dict[str, float | None] = {}
    for table in rows_of(regions, ids, ["role", "descriptor", "openness"]):
        values = descriptors_of(table)
        rows = zip(*(table[name].to_pylist() for name in ("id", "role", "openness")), strict=True)
        for (row_id, role, value), descriptor in zip(rows, values, strict=True):
            descriptors.setdefault(row_id, {})[role] = descriptor
            if role == "mouth":
                openness[row_id] = value
    return Measured(list(descriptors), list(descriptors.values()), [openness.get(row_id) for row_id in descriptors])


def read_tags(portraits: Sequence[Path], ids: Collection[str]) -> dict[str, set[str]]:
    """The tags of some portraits; none where the collection has no tags."""
    tags: dict[str, set[str]] = {}
    for path in portraits:
        if "tags" in open_shard(path).schema_arrow.names:
            tags |= {row["id"]: set(row["tags"] or ()) for row in read_rows([path], ["id", "tags"]) if row["id"] in ids}
    return tags


def read_column(paths: Sequence[Path], ids: Collection[str], column: str) -> dict[str, Any]:
    """A column of some rows by id; of images the encoded file."""
    rows = (row for table in rows_of(paths, ids, [column]) for row in table.to_pylist())
    return {row["id"]: row[column]["bytes"] if isinstance(row[column], dict) else row[column] for row in rows}


def masked_portraits(
    portraits: Sequence[Path], pseudo_labels: Sequence[Path], ids: Sequence[str]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Portraits, uint8 RGB (H, W, 3), with their masks, ids of `SEVEN`, uint8 (H, W)."""
    classes = mask_classes(pseudo_labels)
    encoded, masks = read_column(portraits, ids, "image"), read_column(pseudo_labels, ids, "mask")
    return [(decode_image(encoded[i]), seven_ids(decode_mask(masks[i], classes), classes)) for i in ids]


def true_variants(source: Path, ids: Collection[str]) -> dict[str, Mapping[str, str]]:
    """The variant of each component that the sample's portraits were drawn with."""
    rows = read_rows([source / "truth/variants.parquet"])
    return {row["id"]: {name: value for name, value in row.items() if name != "id"} for row in rows if row["id"] in ids}


def true_portrait(source: Path, row_id: str, classes: ClassTable) -> tuple[np.ndarray, np.ndarray]:
    """The original of a portrait of the sample, uint8 RGB (H, W, 3), and its exact mask, uint8 (H, W)."""
    image = decode_image((source / f"images/{int(row_id) % 1000:04}/{row_id}.png").read_bytes())
    return image, decode_mask((source / f"truth/{row_id}.png").read_bytes(), classes)
