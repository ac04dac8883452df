"""The U-Net that knows both hands: what it learns from, and that it learns both."""

import numpy as np
from helpers.translate import write_portraits

from facemill.config.segment import UnetTrainConfig
from facemill.data.dataset import ShardDataset
from facemill.data.shards import read_rows
from facemill.data.splits import held_out
from facemill.inference.segmenter import Segmenter
from facemill.translate.train_hands_unet import train_hands_unet

SETTINGS = UnetTrainConfig.model_validate(
    {
        "decoder": "upsample",
        "downscale": 1,
        "encoder_weights": None,
        "width": "tiny",
        "class_weights": {},
        "patience": 4,
        "training": {"images": 1600, "batch": 16, "learning_rate": 4e-3},
    }
)


def test_it_learns_the_masks_of_both_hands_at_the_size_of_translations(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    a, b = (
        write_portraits(tmp_path / f"{name}.parquet", light, masked=True) for name, light in (("a", 20), ("b", 180))
    )
    out = {name: tmp_path / f"unet/{name}" for name in ("labelled", "model.safetensors", "curves")}
    (tmp_path / "unet").mkdir()
    train_hands_unet(
        settings=SETTINGS,
        size=32,
        seed=1,
        holdout=0.2,
        portraits=[a],
        masks=[a],
        other=[b],
        labelled=out["labelled"],
        model=out["model.safetensors"],
        curves=out["curves"],
    )
    ids = [row["id"] for row in read_rows([out["labelled"]], ["id"])]
    learned = [str(i) for i in range(70) if not held_out(str(i), 0.2)]
    assert ids == [f"{name}-{row_id}" for name in "ab" for row_id in learned]
    segmenter = Segmenter.load(out["model.safetensors"])
    rows = ShardDataset([out["labelled"]])
    images, masks = (np.stack([np.asarray(item[part]) for item in rows]) for part in (0, 1))
    assert segmenter.size == 32 and images.shape[2:] == masks.shape[1:] == (32, 32)
    right = (segmenter.masks(images.transpose(0, 2, 3, 1)) == masks).mean((1, 2))
    assert right[: len(learned)].mean() > 0.9 and right[len(learned) :].mean() > 0.9
