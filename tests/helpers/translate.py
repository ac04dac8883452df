"""Two collections on which a translation is trained in a second, and the settings of that training."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from facemill.config.ingest import Cropping
from facemill.config.translate import CycleganConfig
from facemill.data.classes import SEVEN
from facemill.data.shards import IMAGE, encode_jpeg, encode_mask, write_shard

SETTINGS = CycleganConfig.model_validate(
    {
        "method": "cyclegan",
        "size": 32,
        "preset": "tiny",
        "cycle_weight": 10,
        "identity_weight": 5,
        "mask_weight": 0,
        "color_weight": 0,
        "pool": 5,
        "diff_augment": True,
        "grad_accumulation": 2,
        "gpus": 1,
        "training": {"images": 80, "batch": 8, "learning_rate": 2e-3},
    }
)
"""Everything that is random in a step is on; the pool fills within it."""


def changed(**changes) -> CycleganConfig:
    """`SETTINGS` with changes, checked."""
    return CycleganConfig.model_validate(SETTINGS.model_dump() | changes)


def write_portraits(
    path: Path, brightness: int, portraits: int = 70, height: int = 64, width: int = 64, *, masked: bool = False
) -> Path:
    """A shard of portraits of colored blocks of a brightness; the mask is hair above, face below."""
    rows, random = [], np.random.default_rng(brightness)
    mask = np.full((height, width), SEVEN.role_ids("face")[0], np.uint8)
    mask[: height // 2] = SEVEN.role_ids("hair")[0]
    for number in range(portraits):
        blocks = random.integers(brightness, brightness + 60, (8, 8, 3), np.uint8)
        image = blocks.repeat(height // 8, 0).repeat(width // 8, 1)
        row = {"id": str(number), "image": {"bytes": encode_jpeg(image)}, "tags": ["1girl"], "source": "a.png"}
        rows.append(row | ({"mask": {"bytes": encode_mask(mask, SEVEN)}} if masked else {}))
    text = pa.string()
    schema = pa.schema([("id", text), ("image", IMAGE), ("tags", pa.list_(text)), ("source", text)])
    write_shard(path, rows, schema.append(pa.field("mask", IMAGE)) if masked else schema, SEVEN if masked else None)
    return path


def arguments(folder: Path, *, masked: bool = False) -> dict:
    """The arguments of a training on a dark and a bright collection, whose products go to `folder`."""
    sides = [
        write_portraits(folder / f"{name}.parquet", light, masked=masked) for name, light in (("a", 20), ("b", 180))
    ]
    return {
        "seed": 1,
        "holdout": 0.2,
        "paired": False,
        "cropping": Cropping(),
        "portraits": [sides[0]],
        "other": [sides[1]],
        **into(folder / "cyclegan"),
    }


def into(folder: Path) -> dict:
    """The products of a training."""
    points = {way: [folder / f"points/{n}/{way}.safetensors" for n in range(1, 9)] for way in ("a2b", "b2a")}
    return points | {"curves": folder / "curves.csv"}
