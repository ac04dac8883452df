"""The stage `segment` on real anime portraits: masks for a folder of them, the same by both backends."""

import os
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from facemill.config.fields import TrainingConfig
from facemill.config.label import LabelsConfig
from facemill.config.segment import UnetTrainConfig
from facemill.data.classes import SEVEN
from facemill.data.shards import write_shard
from facemill.inference.backends import OpenVino, Torch
from facemill.ingest.portraits import load_portrait
from facemill.label.label_files import labelme_files
from facemill.label.labelled_rows import SCHEMA, labelled_rows
from facemill.networks.store import load_model, save_model
from facemill.networks.unet import Unet
from facemill.segment.train_unet import train_unet

ROOT = Path(__file__).parents[2]
PORTRAITS = Path(os.environ.get("FACEMILL_REAL_DATA", ROOT.parent / "shared" / "data")) / "anime-portraits"

pytestmark = pytest.mark.skipif(not PORTRAITS.is_dir(), reason=f"{PORTRAITS} is not there")


def test_masks_for_a_folder_of_real_portraits(tmp_path):
    torch.manual_seed(0)
    arguments = {"size": 64, "decoder": "upsample", "decoder_channels": [8] * 5}
    model = tmp_path / "model" / "model.safetensors"
    save_model(model, Unet(**arguments), arguments, {})
    images = tmp_path / "images"
    images.mkdir()
    real = sorted(path for path in (PORTRAITS / "images").rglob("*") if path.suffix in (".jpg", ".png"))[:5]
    for path in real:
        shutil.copy(path, images)
    with Image.open(real[0]) as picture:
        picture.convert("RGB").crop((0, 0, picture.width, picture.height // 3)).save(images / "wide.webp")

    runpy.run_path(str(ROOT / "scripts" / "predict_masks.py"))["main"](
        model=model.parent, images=images, out=tmp_path / "masks"
    )
    for path in images.iterdir():
        with Image.open(path) as picture, Image.open(tmp_path / "masks" / f"{path.stem}.png") as mask:
            assert mask.size == picture.size
            assert mask.mode == "P"
            assert np.asarray(mask).max() < len(SEVEN)
    assert len(list((tmp_path / "masks").iterdir())) == 6


def test_backends_label_real_portraits_alike(tmp_path, monkeypatch):
    """A U-Net trained for half a minute: what it is sure of, it is sure of in bfloat16, by OpenVINO and torch."""
    monkeypatch.chdir(tmp_path)
    labels = LabelsConfig.model_validate(yaml.safe_load((ROOT / "config/config.yaml").read_text())["labels"])
    rows, _ = labelled_rows(labelme_files(PORTRAITS / "labelled", labels, SEVEN), SEVEN, 128, threads=2)
    write_shard(tmp_path / "train.parquet", rows, SCHEMA, SEVEN)
    settings = UnetTrainConfig(
        encoder_weights=PORTRAITS.parent / "weights" / "mobilenet_v2_imagenet.safetensors",
        width="narrow",
        class_weights={},
        patience=10,
        decoder="upsample",
        downscale=1,
        training=TrainingConfig(images=1600, batch=8, learning_rate=1.5e-3),
    )
    model = tmp_path / "v3/model.safetensors"
    files = {"train": [tmp_path / "train.parquet"], "validation": [], "model": model, "curves": tmp_path / "c.csv"}
    train_unet("v3", settings, size=128, seed=1, **files)
    unet = load_model(Unet, model)
    images = np.stack([load_portrait(path, 128) for path in sorted((PORTRAITS / "images").iterdir())[:64]])
    by_openvino = OpenVino(unet)
    batches = np.split(images, len(images) // by_openvino.batch)
    labelled = np.concatenate([by_openvino(batch).masks for batch in batches])
    by_torch = np.concatenate([Torch(unet)(batch).masks for batch in batches])
    agreed = np.mean(labelled == by_torch)
    assert agreed >= 0.999
    assert len(np.unique(labelled)) >= 5
