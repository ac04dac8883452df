"""Painted scenes, a network that segments them by color, and U-Nets with random weights."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import Tensor, nn

from facemill.data.classes import SEVEN, Class, ClassTable
from facemill.data.shards import IMAGE, encode_jpeg, encode_mask, write_shard
from facemill.imaging.figures import colorize
from facemill.networks.store import save_model
from facemill.networks.unet import Unet

PAIRS = pa.schema([("id", pa.string()), ("image", IMAGE), ("mask", IMAGE)])

THREE = ClassTable(
    (
        Class(name="around", color="#202020", role="background"),
        Class(name="head", color="#e0b020", role="face"),
        Class(name="hat", color="#3060e0", role=None),
    )
)
"""A class table of another size and with other names than `SEVEN`."""


class ColorUnet(nn.Module):
    """Stands in for a U-Net: its logits are the nearness of each pixel's color to the classes' display colors."""

    def __init__(self, size: int, classes: ClassTable = SEVEN) -> None:
        super().__init__()
        self.size = size
        self.colors = nn.Parameter(torch.tensor(classes.colors).float().view(1, len(classes), 3, 1, 1) / 255)

    def stem(self, images: Tensor) -> list[Tensor]:
        return [images]

    def encode_deeper(self, features: list[Tensor]) -> list[Tensor]:
        return features

    def decode(self, features: list[Tensor]) -> Tensor:
        return -30 * (features[0][:, None] - self.colors).square().sum(2)

    def forward(self, images: Tensor) -> Tensor:
        return self.decode(self.stem(images))


def draw_scene(seed: int, height: int, width: int, classes: ClassTable = SEVEN) -> np.ndarray:
    """A mask with a disc of every class, uint8 (height, width)."""
    random = np.random.default_rng(seed)
    ys, xs = np.mgrid[:height, :width]
    mask = np.zeros((height, width), np.uint8)
    for c in range(1, len(classes)):
        y, x, radius = random.uniform(0, height), random.uniform(0, width), random.uniform(0.1, 0.3) * (height + width)
        mask[(ys - y) ** 2 + (xs - x) ** 2 < radius**2 / 4] = c
    return mask


def save_unet(path: Path, classes: ClassTable = SEVEN, decoder: str = "upsample", downscale: int = 1) -> Path:
    """Saves a U-Net with random weights, for 64 px."""
    arguments = {"classes": len(classes), "size": 64, "decoder": decoder}
    arguments |= {"decoder_channels": [8] * 5, "downscale": downscale}
    save_model(path, Unet(**arguments), arguments, {}, classes)
    return path


def save_varied_unet(path: Path) -> Path:
    """Saves a U-Net with random weights, for 64 px, whose masks show several classes: its head has no bias."""
    arguments = {"classes": len(SEVEN), "size": 64, "decoder": "upsample", "decoder_channels": [8] * 5, "downscale": 1}
    torch.manual_seed(0)
    unet = Unet(**arguments)
    nn.init.zeros_(unet.head.bias)
    save_model(path, unet, arguments, {}, SEVEN)
    return path


@pytest.fixture
def painter() -> ColorUnet:
    return ColorUnet(64).eval()


@pytest.fixture
def scene() -> Callable[..., np.ndarray]:
    return draw_scene


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> list[Path]:
    """Saved U-Nets with random weights: v1 (transposed, downscaled), v2 (transposed), v3 (upsample)."""
    folder = tmp_path_factory.mktemp("unet")
    torch.manual_seed(0)
    versions = (("v1", "transposed", 2), ("v2", "transposed", 1), ("v3", "upsample", 1))
    return [save_unet(folder / v / "model.safetensors", SEVEN, decoder, scale) for v, decoder, scale in versions]


@pytest.fixture
def pairs(tmp_path) -> Callable[..., Path]:
    """Writes a shard of painted portraits of 64 px with their masks; ids and seeds are the given numbers."""

    def write(name: str, seeds: range, classes: ClassTable = SEVEN) -> Path:
        rows = []
        for seed in seeds:
            mask = draw_scene(seed, 64, 64, classes)
            image, png = encode_jpeg(colorize(mask, classes)), encode_mask(mask, classes)
            rows.append({"id": str(seed), "image": {"bytes": image}, "mask": {"bytes": png}})
        write_shard(tmp_path / name, rows, PAIRS, classes)
        return tmp_path / name

    return write
