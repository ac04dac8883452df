"""A collection of portraits with masks of drawn heads, on which a mask generator is trained in a second."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from facemill.config.mask_generator import MaskGeneratorConfig
from facemill.data.classes import SEVEN
from facemill.data.shards import encode_jpeg, encode_mask, write_shard
from facemill.imaging.figures import colorize
from facemill.networks.mask_generator import MaskGenerator
from facemill.networks.store import save_model
from facemill.segment.gate_pseudo_labels import SCHEMA as GATE
from helpers.heads import head
from helpers.scenes import PAIRS

SETTINGS = MaskGeneratorConfig.model_validate(
    {
        "size": 32,
        "preset": "tiny",
        "r1": 1,
        "diff_augment": ["translation"],
        "training": {"images": 40, "batch": 8, "learning_rate": 3e-3},
    }
)


def heads(count: int, seed: int = 0) -> np.ndarray:
    """Masks of heads, uint8 (N, 128, 128), each a little different."""
    random = np.random.default_rng(seed)
    draws = random.integers(0, 12, (count, 4))
    return np.stack([head(face=(34 + a, 30 + b, 44 + c, 60), hair=6 + d // 2, shift=c - 6) for a, b, c, d in draws])


def write_masks(folder: Path, count: int = 140, size: int = 128) -> dict:
    """The arguments of a training: portraits in their classes' colors, three of them rejected."""
    step = 128 // size
    rows = [
        {
            "id": str(number),
            "image": {"bytes": encode_jpeg(colorize(mask, SEVEN))},
            "mask": {"bytes": encode_mask(mask, SEVEN)},
            "rejected": "unsure" if number < 3 else None,
        }
        for number, mask in enumerate(heads(count)[:, ::step, ::step])
    ]
    schemas = {
        "portraits": pa.schema([PAIRS.field("id"), PAIRS.field("image")]),
        "pseudo_labels": pa.schema([PAIRS.field("id"), PAIRS.field("mask")]),
        "gate": GATE,
    }
    for name, schema in schemas.items():
        columns = [{key: row[key] for key in schema.names} for row in rows]
        write_shard(folder / f"{name}.parquet", columns, schema, SEVEN if name == "pseudo_labels" else None)
    return {
        "seed": 1,
        "holdout": 0.2,
        "portraits": [folder / "portraits.parquet"],
        "pseudo_labels": [folder / "pseudo_labels.parquet"],
        "gate": folder / "gate.parquet",
    }


def save_mask_generator(folder: Path, ratio: int = 1, classes=SEVEN) -> Path:
    """Saves a generator of masks of 32 px with random weights, whose masks show several classes."""
    torch.manual_seed(0)
    arguments = {"height": 32, "ratio": ratio, "channels": [8] * (4 if ratio == 1 else 3), "z_dim": 8, "w_dim": 8}
    arguments |= {"mapping": 1, "colors": len(classes)}
    save_model(folder / "model.safetensors", MaskGenerator(**arguments), arguments, {}, classes)
    return folder
