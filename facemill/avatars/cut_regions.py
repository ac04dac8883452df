"""Regions: the parts of each portrait of a shard, cut by its pseudo-label and described."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa

from facemill.avatars.regions import Part, cut_parts, seven_ids
from facemill.avatars.styles import PartRole
from facemill.data.classes import ROLES
from facemill.data.shards import IMAGE, count_rows, decode_image, decode_mask, mask_classes, write_batches
from facemill.errors import UserError
from facemill.latent.rows import joined_rows
from facemill.log import log, progress

PART_FIELDS = [
    ("crop", IMAGE),
    ("descriptor", pa.list_(pa.float32())),
    ("openness", pa.float32()),
    ("lab", pa.list_(pa.float32())),
]
"""Columns of a part, of a portrait or of a style."""

REGION_SCHEMA = pa.schema([("id", pa.string()), ("role", pa.string()), *PART_FIELDS])
"""A row for each part that a portrait shows, in the portraits' order."""

_SHOWS_A_HEAD = [ROLES.index(role) for role in ("face", "eye", "hair")]


def cut_regions(*, portraits: Path, pseudo_labels: Path, looks: int, seed: int, regions: Path) -> None:
    """Cuts the parts of each portrait of a shard, and describes them.

    A portrait without a pixel of face, eye and hair has no parts; the log says how many such there are.

    Args:
        portraits: the shard.
        pseudo_labels: its masks.
        looks: slightly moved copies of a portrait whose descriptors are averaged.
        seed: of the looks.
        regions: the shard of parts to write.
    """
    write_batches(regions, _batches(portraits, pseudo_labels, looks, seed), REGION_SCHEMA)


def _batches(portraits: Path, pseudo_labels: Path, looks: int, seed: int) -> Iterator[pa.RecordBatch]:
    """Yields the parts of each portrait; logs at the end how many portraits have none."""
    classes = mask_classes([pseudo_labels])
    empty = 0
    rows = joined_rows(([pseudo_labels], ["mask"]), ([portraits], ["image"]))
    for row in progress(rows, f"cut_regions {portraits.stem}", count_rows([portraits])):
        ids = seven_ids(decode_mask(row["mask"]["bytes"], classes), classes)
        parts: dict[PartRole, Part] = {}
        if np.isin(ids, _SHOWS_A_HEAD).any():
            parts = cut_parts(decode_image(row["image"]["bytes"]), ids, looks=looks, seed=seed)
        empty += not parts
        yield pa.RecordBatch.from_pylist(part_rows(row["id"], parts), REGION_SCHEMA)
    if empty:
        log.info("%s: %d portraits without face, eyes and hair have no parts", portraits.stem, empty)


def part_rows(row_id: str, parts: Mapping[PartRole, Part]) -> list[dict]:
    """Rows of `REGION_SCHEMA` for the parts of a portrait."""
    return [{"id": row_id, "role": role, **part_cells(part, f"{row_id}-{role}.png")} for role, part in parts.items()]


def part_cells(part: Part, path: str) -> dict:
    """The cells of `PART_FIELDS` for a part; `path` names its crop."""
    return {
        "crop": {"bytes": encode_crop(part.crop), "path": path},
        "descriptor": part.descriptor,
        "openness": part.openness,
        "lab": part.lab,
    }


def encode_crop(crop: np.ndarray) -> bytes:
    """A part's crop, uint8 RGBA (H, W, 4), as a PNG."""
    return cv2.imencode(".png", cv2.cvtColor(crop, cv2.COLOR_RGBA2BGRA))[1].tobytes()


def decode_crop(encoded: bytes) -> np.ndarray:
    """The crop in a PNG that `encode_crop` wrote: uint8 RGBA (H, W, 4)."""
    crop = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)
    if crop is None:
        raise UserError("a part's crop cannot be decoded; accepted: what cut_regions wrote")
    return cv2.cvtColor(crop, cv2.COLOR_BGRA2RGBA)
