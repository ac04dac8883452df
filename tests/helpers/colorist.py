"""Portraits of flat colors with their masks, and a generator that paints such portraits without any training."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import Tensor, nn

from facemill.data.classes import BACKGROUND, CLOTHES, EYE, FACE, HAIR, MOUTH, SKIN
from facemill.data.shards import IMAGE, encode_jpeg, encode_mask, write_shard
from facemill.imaging.palettes import Palette, lab_palette

SIZE = 32
PAINT = {
    BACKGROUND: (40, 160, 90),
    SKIN: (220, 170, 140),
    FACE: (220, 170, 140),
    EYE: (40, 60, 200),
    MOUTH: (200, 40, 60),
    CLOTHES: (90, 90, 160),
}
HAIR_PAINT = {"black_hair": (32, 32, 36), "red_hair": (192, 32, 32), "grey_hair": (196, 198, 204)}


class Colorist(nn.Module):
    """Stands in for GauGAN: the hair has the color z[:3], and the background z[3:] where that is given."""

    def forward(self, masks: Tensor, z: Tensor) -> Tensor:
        colors = torch.zeros(len(z), 7, 3)
        for id, color in PAINT.items():
            colors[:, id] = torch.tensor(color) / 127.5 - 1
        colors[:, HAIR] = z[:, :3]
        if z.shape[1] > 3:
            colors[:, BACKGROUND] = z[:, 3:]
        painted = torch.stack([own[mask.long()] for own, mask in zip(colors, masks.cpu(), strict=True)])
        return painted.permute(0, 3, 1, 2).to(masks.device)


@pytest.fixture
def colorist() -> Colorist:
    return Colorist()


@pytest.fixture
def hair_paint() -> dict[str, tuple[int, int, int]]:
    return HAIR_PAINT


@pytest.fixture
def palette() -> Palette:
    return lab_palette({"black_hair": ["#202024"], "red_hair": ["#601010", "#c02020"], "grey_hair": ["#c4c6cc"]})


@pytest.fixture
def mask() -> np.ndarray:
    """Class ids, uint8 (32, 32); every class has at least 30 pixels."""
    mask = np.full((SIZE, SIZE), BACKGROUND, np.uint8)
    mask[2:10, 6:26] = HAIR
    mask[10:24, 8:24] = FACE
    mask[12:16, 10:22] = EYE
    mask[19:22, 10:22] = MOUTH
    mask[24:28, 12:20] = SKIN
    mask[28:32, 4:28] = CLOTHES
    return mask


@pytest.fixture
def paint(mask) -> Callable[[tuple[int, int, int]], np.ndarray]:
    """Paints the mask with hair of a color: uint8 RGB (32, 32, 3)."""

    def painted(hair: tuple[int, int, int]) -> np.ndarray:
        table = np.zeros((256, 3), np.uint8)
        for id, color in (PAINT | {HAIR: hair}).items():
            table[id] = color
        return table[mask]

    return painted


@pytest.fixture
def collection(tmp_path, paint, mask) -> dict[str, list[Path]]:
    """Two shards of 30 portraits in three hair colors by turns: `portraits`, `pseudo_labels`."""
    text, image_column = ("id", pa.string()), ("image", IMAGE)
    schemas = {
        "portraits": pa.schema([text, image_column, ("tags", pa.list_(pa.string()))]),
        "pseudo_labels": pa.schema([text, ("mask", IMAGE)]),
    }
    paths = {product: [tmp_path / product / f"shard-000{shard}.parquet" for shard in (0, 1)] for product in schemas}
    for shard in (0, 1):
        rows = []
        for number in range(100 + shard, 160, 2):
            name = list(HAIR_PAINT)[number % 3]
            image, labels = encode_jpeg(paint(HAIR_PAINT[name]), 100), encode_mask(mask)
            row = {"id": str(number), "image": {"bytes": image}, "tags": [name, "solo"], "mask": {"bytes": labels}}
            rows.append(row)
        for product, schema in schemas.items():
            write_shard(paths[product][shard], [{name: row[name] for name in schema.names} for row in rows], schema)
    return paths
