"""What layers carry: ranges of layers, shares between row and column, and what the evaluation writes."""

import json

import numpy as np
import pytest
from helpers.scenes import save_varied_unet
from PIL import Image

from facemill.data.classes import SEVEN
from facemill.imaging.figures import colorize
from facemill.metrics.style import colors_of
from facemill.networks.stylegan2 import StyleGenerator
from facemill.stylegan import evaluate_mixing as module
from facemill.stylegan.evaluate_mixing import carried, evaluate_mixing, layer_ranges
from facemill.stylegan.seen import Seen, change_by_class


def seen(masks: np.ndarray, shift: int = 0) -> Seen:
    """Scenes in the classes' display colors, all of them brighter by a shift, seen as they are."""
    images = np.stack([colorize(mask, SEVEN) for mask in masks])
    images = (images.astype(int) + shift).clip(0, 255).astype(np.uint8)
    return Seen(images, masks, colors_of(images, masks, SEVEN))


@pytest.mark.parametrize(
    ("height", "ratio", "expected"),
    [
        (32, 1, {"coarse": [0, 1, 2], "middle": [3, 4], "fine": [5, 6, 7]}),
        (64, 1, {"coarse": [0, 1, 2], "middle": [3, 4, 5, 6], "fine": [7, 8, 9]}),
        (32, 2, {"coarse": [0, 1, 2], "fine": [3, 4, 5]}),
    ],
)
def test_every_layer_is_in_one_range(height, ratio, expected):
    channels = [4] * ((height // ratio).bit_length() - 2)
    generator = StyleGenerator(height=height, ratio=ratio, channels=channels, z_dim=4, w_dim=4, mapping=1)
    assert layer_ranges(generator) == expected


def test_a_mixed_portrait_has_its_row_or_its_column(scene):
    row = seen(np.stack([scene(seed, 64, 64) for seed in (0, 1)]))
    column = seen(np.stack([scene(seed, 64, 64) for seed in (2, 3)]))
    shape_of_column = seen(column.masks, shift=40)
    for mixed, share in ((row, 0), (column, 1)):
        carries = carried(mixed, row, column, SEVEN)["carries"]
        assert carries["pixels"] == carries["mask"] == share
        assert set(carries["classes"].values()) == {share}
    repainted = carried(seen(row.masks, shift=40), row, shape_of_column, SEVEN)["carries"]
    assert repainted["mask"] == 0  # the row's mask in the column's colors
    del repainted["colors"]["skin"]  # two classes, whose shares tell its median
    assert set(repainted["colors"].values()) == {1}


def test_the_change_is_told_by_class(scene):
    before = seen(np.stack([scene(0, 64, 64)]))
    after = before.images.copy()
    after[before.masks == 5] ^= 255
    expected = {name: float(index == 5) for index, name in enumerate(SEVEN.names)}
    assert change_by_class(before, after, SEVEN) == expected
    assert set(change_by_class(before, before.images, SEVEN).values()) == {None}


@pytest.mark.parametrize("ratio", [1, 2])
def test_the_figures_with_masks_and_without(save_generator, tmp_path, monkeypatch, ratio):
    monkeypatch.setattr(module, "PAIRS", 6)
    unet = save_varied_unet(tmp_path / "unet.safetensors")
    model = save_generator(ratio=ratio) / "model.safetensors"
    for name, network in {"masks": unet, "none": None}.items():
        files = {"metrics": tmp_path / f"{name}.json", "picture": tmp_path / f"{name}.png"}
        evaluate_mixing(model=model, unet=network, truncation=0.7, **files)
    figures = json.loads((tmp_path / "masks.json").read_text())
    assert figures["pairs"] == 6 and figures["truncation"] == 0.7 and 0 < figures["unmixed"]["mask_iou"] < 1
    assert sum(figures["coarse"]["moves"].values()) == pytest.approx(1)
    assert 0 < figures["coarse"]["carries"]["mask"] < 1
    without = json.loads((tmp_path / "none.json").read_text())
    assert without["fine"]["carries"] == {"pixels": figures["fine"]["carries"]["pixels"]}
    with Image.open(tmp_path / "none.png") as picture:
        assert picture.height > 9 * 128 / ratio
