"""Portraits of flat colors with their masks, and a generator that paints such portraits without any training."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import Tensor, nn

from facemill.data.classes import SEVEN, Class, ClassTable
from facemill.data.shards import IMAGE, encode_jpeg, encode_mask, write_shard
from facemill.imaging.palettes import Palette, lab_palette

SIZE = 32
BOXES = {
    "hair": (slice(2, 10), slice(6, 26)),
    "face": (slice(10, 24), slice(8, 24)),
    "eye": (slice(12, 16), slice(10, 22)),
    "mouth": (slice(19, 22), slice(10, 22)),
    "skin": (slice(24, 28), slice(12, 20)),
    "clothes": (slice(28, 32), slice(4, 28)),
}
"""Rows and columns of each role in the mask."""

PAINT = {
    "background": (40, 160, 90),
    "skin": (220, 170, 140),
    "face": (220, 170, 140),
    "eye": (40, 60, 200),
    "mouth": (200, 40, 60),
    "clothes": (90, 90, 160),
    None: (120, 120, 120),
}
"""The color of each role; hair has that of its name."""

HAIR_PAINT = {"black_hair": (32, 32, 36), "red_hair": (192, 32, 32), "grey_hair": (196, 198, 204)}

EIGHT = ClassTable(
    tuple(
        Class(name=name, color=f"#{100000 + 1000 * i}", role=role)
        for i, (name, role) in enumerate(
            [
                ("background", "background"),
                ("hat", None),
                ("bangs", "hair"),
                ("back_hair", "hair"),
                ("face", "face"),
                ("eye", "eye"),
                ("mouth", "mouth"),
                ("nose", "face"),
            ]
        )
    )
)
"""Another table: two classes of hair, one without a role, none of clothes or skin."""


class Colorist(nn.Module):
    """Stands in for GauGAN: the hair has the color z[:3], and the background z[3:] where that is given."""

    def __init__(self, classes: ClassTable = SEVEN) -> None:
        super().__init__()
        self.classes, self.z_dim = classes, 3

    def forward(self, masks: Tensor, z: Tensor) -> Tensor:
        colors = torch.zeros(len(z), len(self.classes), 3)
        for class_id, row in enumerate(self.classes.root):
            if row.role == "hair":
                colors[:, class_id] = z[:, :3]
            elif row.role == "background" and z.shape[1] > 3:
                colors[:, class_id] = z[:, 3:]
            else:
                colors[:, class_id] = torch.tensor(PAINT[row.role]) / 127.5 - 1
        of_each = masks.cpu().long().repeat_interleave(len(z) // len(masks), 0)
        painted = torch.stack([table[mask] for table, mask in zip(colors, of_each, strict=True)])
        return painted.permute(0, 3, 1, 2).to(masks.device)


@pytest.fixture
def classes() -> ClassTable:
    """The class table of the masks; a test that is parametrized with `classes` has another one."""
    return SEVEN


@pytest.fixture
def colorist(classes) -> Colorist:
    return Colorist(classes)


@pytest.fixture
def hair_paint() -> dict[str, tuple[int, int, int]]:
    return HAIR_PAINT


@pytest.fixture
def palette() -> Palette:
    return lab_palette({"black_hair": ["#202024"], "red_hair": ["#601010", "#c02020"], "grey_hair": ["#c4c6cc"]})


@pytest.fixture
def mask(classes) -> np.ndarray:
    """Class ids, uint8 (32, 32); every role that a class has has at least 30 pixels, shared by its classes."""
    mask = np.zeros((SIZE, SIZE), np.uint8)
    for role, (rows, columns) in BOXES.items():
        if ids := classes.role_ids(role):
            box = mask[rows, columns]
            box[:] = ids[0]
            box[:, box.shape[1] // 2 :] = ids[-1]
    return mask


@pytest.fixture
def paint(mask, classes) -> Callable[[tuple[int, int, int]], np.ndarray]:
    """Paints the mask with hair of a color: uint8 RGB (32, 32, 3)."""

    def painted(hair: tuple[int, int, int]) -> np.ndarray:
        colors = PAINT | {"hair": hair}
        return np.array([colors[row.role] for row in classes.root], np.uint8)[mask]

    return painted


@pytest.fixture
def collection(tmp_path, paint, mask, classes) -> dict[str, list[Path]]:
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
            image, labels = encode_jpeg(paint(HAIR_PAINT[name]), 100), encode_mask(mask, classes)
            row = {"id": str(number), "image": {"bytes": image}, "tags": [name, "solo"], "mask": {"bytes": labels}}
            rows.append(row)
        for product, schema in schemas.items():
            columns = [{name: row[name] for name in schema.names} for row in rows]
            table = classes if product == "pseudo_labels" else None
            write_shard(paths[product][shard], columns, schema, table)
    return paths
