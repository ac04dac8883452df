"""Stage `segment` on real anime portraits: masks for a folder of them, the same by both backends."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from helpers.scenes import save_unet
from PIL import Image

from facemill.config.fields import TrainingConfig
from facemill.config.label import LabelsConfig
from facemill.config.segment import UnetTrainConfig
from facemill.data.classes import SEVEN
from facemill.data.shards import write_shard
from facemill.inference.backends import TorchBackend
from facemill.inference.openvino_backend import OpenVinoBackend
from facemill.ingest.portraits import load_portrait
from facemill.label.label_files import labelme_files
from facemill.label.labelled_rows import SCHEMA, labelled_rows
from facemill.networks.store import load_model
from facemill.networks.unet import Unet
from facemill.segment.predict_masks import predict_masks
from facemill.segment.train_unet import train_unet

ROOT = Path(__file__).parents[2]
PORTRAITS = Path(os.environ.get("FACEMILL_REAL_DATA", ROOT.parent / "shared" / "data")) / "anime-portraits"

pytestmark = pytest.mark.skipif(not PORTRAITS.is_dir(), reason=f"{PORTRAITS} is not there")


def test_masks_for_a_folder_of_real_portraits(tmp_path):
    torch.manual_seed(0)
    model = save_unet(tmp_path / "model" / "model.safetensors")
    images = tmp_path / "images"
    images.mkdir()
    real = sorted(path for path in (PORTRAITS / "images").rglob("*") if path.suffix in (".jpg", ".png"))[:5]
    for path in real:
        shutil.copy(path, images)
    with Image.open(real[0]) as picture:
        picture.convert("RGB").crop((0, 0, picture.width, picture.height // 3)).save(images / "wide.webp")

    predict_masks(model=model.parent, images=images, out=tmp_path / "masks")
    for path in images.iterdir():
        with Image.open(path) as picture, Image.open(tmp_path / "masks" / f"{path.stem}.png") as mask:
            assert mask.size == picture.size
            assert mask.mode == "P"
            assert np.asarray(mask).max() < len(SEVEN)
    assert len(list((tmp_path / "masks").iterdir())) == 6


def test_backends_label_real_portraits_alike(tmp_path, monkeypatch):
    """A U-Net trained for half a minute predicts the same masks by OpenVINO and torch, in bfloat16 too."""
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
    files = {"train": tmp_path / "train.parquet", "model": model, "curves": tmp_path / "c.csv"}
    train_unet(version="v3", settings=settings, size=128, seed=1, **files)
    unet = load_model(Unet, model)
    images = np.stack([load_portrait(path, 128) for path in sorted((PORTRAITS / "images").iterdir())[:64]])
    openvino, torch_backend = OpenVinoBackend(unet), TorchBackend(unet)
    batches = np.split(images, len(images) // openvino.batch)
    by_openvino, by_torch = (
        np.concatenate([backend(batch).masks for batch in batches]) for backend in (openvino, torch_backend)
    )
    assert np.mean(by_openvino == by_torch) >= 0.999
    assert len(np.unique(by_openvino)) >= 5
