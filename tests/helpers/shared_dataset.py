"""A dataset as a run leaves it, for tests of its cards: tables of portraits of flat colors, models of one weight."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from safetensors.numpy import save_file

from facemill.data.classes import SEVEN
from facemill.data.shards import IMAGE, encode_jpeg, encode_mask, write_shard
from facemill.files import sha256, write_json

TEXT = pa.string()
SCHEMAS: dict[str, list[tuple[str, pa.DataType]]] = {
    "portraits": [("id", TEXT), ("image", IMAGE), ("tags", pa.list_(TEXT)), ("source", TEXT)],
    "pseudo_labels": [("id", TEXT), ("mask", IMAGE), ("confidence", pa.float32()), ("area_hair", pa.float32())],
    "labels": [("id", TEXT), ("image", IMAGE), ("mask", IMAGE)],
    "gate": [("id", TEXT), ("rejected", TEXT)],
}
TABLES = {
    "portraits/shard-0000": range(5),
    "portraits/shard-0001": range(5, 9),
    "pseudo_labels/shard-0000": range(5),
    "pseudo_labels/shard-0001": range(5, 9),
    "labels/train": range(3),
    "labels/validation": range(3, 4),
    "labels/test": range(4, 6),
    "gate/gate": range(9),
}
"""The tables, each with the ids of its rows."""

MASK = (np.arange(64).reshape(8, 8) % len(SEVEN)).astype(np.uint8)
"""The mask of all portraits: all classes."""


def table_row(number: int) -> dict:
    """The values of all columns; the portrait is of one gray, 20 times its number."""
    return {
        "id": str(number),
        "image": {"bytes": encode_jpeg(np.full((8, 8, 3), 20 * number, np.uint8))},
        "mask": {"bytes": encode_mask(MASK, SEVEN)},
        "tags": ["solo"],
        "source": f"{number}.png",
        "confidence": 0.5,
        "area_hair": 0.25,
        "rejected": "confidence" if number % 3 == 0 else None,
    }


def write_tables(folder: Path) -> list[Path]:
    """Writes the tables and `summary.json`."""
    for name, numbers in TABLES.items():
        schema = pa.schema(SCHEMAS[name.split("/")[0]])
        rows = [{column: table_row(number)[column] for column in schema.names} for number in numbers]
        write_shard(folder / f"{name}.parquet", rows, schema, SEVEN if "mask" in schema.names else None)
    counts = {"posts": 1200, "selected": 10, "portraits": 9, "rejected": 3}
    write_json(folder / "summary.json", counts | {"labels": {"images": 6}, "pseudo_labels": {"images": 9}})
    return [folder / f"{name}.parquet" for name in TABLES]


def write_model(path: Path, arguments: dict, classes: bool = True, **settings: Any) -> Path:
    """Writes a model's files, for a card that reads no more of them than its JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"weight": np.ones(3, np.float32)}, path)
    metadata = {
        "network": "Network",
        "arguments": arguments,
        "settings": {"seed": 1} | settings,
        "sha256": sha256(path),
    }
    metadata |= {"classes": json.loads(SEVEN.model_dump_json())} if classes else {}
    write_json(path.with_suffix(".json"), metadata)
    return path
