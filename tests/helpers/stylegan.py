"""A collection on which StyleGAN is trained in a second, and the settings of that training."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from facemill.config.stylegan import StyleganConfig
from facemill.data.shards import IMAGE, encode_jpeg, write_shard
from facemill.segment.gate_pseudo_labels import SCHEMA as GATE

HAIR = ["black_hair", "red_hair", None]
SETTINGS = StyleganConfig.model_validate(
    {
        "size": 32,
        "preset": "tiny",
        "loss": "logistic",
        "r1": 3,
        "penalty_every": 2,
        "style_mixing": 0.5,
        "noise": True,
        "mirror": True,
        "diff_augment": ["color", "translation", "cutout"],
        "conditions": ["hair_color", "smile"],
        "discriminator": "projection",
        "condition_weight": 0.5,
        "condition_ramp": [0.2, 0.8],
        "grad_accumulation": 2,
        "gpus": 1,
        "training": {"images": 40, "batch": 8, "learning_rate": 3e-3},
    }
)
"""Everything that is random in a step is on."""


def changed(**changes) -> StyleganConfig:
    """`SETTINGS` with changes, checked."""
    return StyleganConfig.model_validate(SETTINGS.model_dump() | changes)


def write_collection(folder: Path, height: int = 64, width: int = 64, portraits: int = 140) -> dict:
    """The arguments of a training: portraits of flat colors, three of them rejected, with tags."""
    rows, random = [], np.random.default_rng(0)
    for number in range(portraits):
        image = np.full((height, width, 3), random.integers(0, 256, 3), np.uint8)
        image[: height // 2, : width // 2] = random.integers(0, 256, 3)
        tags = ["smile"] if number % 2 else []
        row = {"id": str(number), "image": {"bytes": encode_jpeg(image)}, "tags": tags}
        rows.append(row | {"hair_color": HAIR[number % 3], "rejected": "unsure" if number < 3 else None})
    text = ("id", pa.string())
    schemas = {
        "portraits": pa.schema([text, ("image", IMAGE)]),
        "tags": pa.schema([text, ("tags", pa.list_(pa.string())), ("hair_color", pa.string())]),
        "gate": GATE,
    }
    for name, schema in schemas.items():
        columns = [{key: row[key] for key in schema.names if key in row} for row in rows]
        write_shard(folder / f"{name}.parquet", columns, schema)
    return {
        "seed": 1,
        "holdout": 0.1,
        "portraits": [folder / "portraits.parquet"],
        "gate": folder / "gate.parquet",
        "tags": [folder / "tags.parquet"],
        "min_images": 10,
        "model": folder / "stylegan/model.safetensors",
        "discriminator": folder / "stylegan/discriminator.safetensors",
        "curves": folder / "stylegan/curves.csv",
    }


def pixels(path: Path) -> np.ndarray:
    """The pixels of a picture."""
    with Image.open(path) as picture:
        return np.asarray(picture)
