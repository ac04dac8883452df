"""Evaluation of the VAE: metrics of the held-out portraits alone, and a picture."""

import json

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from facemill.data.shards import IMAGE, encode_jpeg, write_shard
from facemill.data.splits import held_out
from facemill.errors import UserError
from facemill.networks.store import save_model
from facemill.networks.vae import Vae
from facemill.synthesize.evaluate_vae import evaluate_vae


def test_metrics_and_picture(tmp_path):
    random = np.random.default_rng(0)
    rows = [
        {"id": str(i), "image": {"bytes": encode_jpeg(random.integers(0, 256, (64, 64, 3), np.uint8))}}
        for i in range(20)
    ]
    write_shard(tmp_path / "portraits.parquet", rows, pa.schema([("id", pa.string()), ("image", IMAGE)]))
    torch.manual_seed(0)
    arguments = {"size": 32, "z_dim": 4, "width": 4}
    save_model(tmp_path / "vae.safetensors", Vae(**arguments), arguments, {})
    evaluate_vae(
        model=tmp_path / "vae.safetensors",
        portraits=[tmp_path / "portraits.parquet"],
        holdout=0.5,
        metrics=tmp_path / "metrics.json",
        picture=tmp_path / "vae.png",
    )
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert list(metrics) == ["reconstruction_l1", "reconstruction_l1_std", "kl", "images"]
    assert 0 < metrics["reconstruction_l1"] < 1 and metrics["kl"] > 0
    assert metrics["images"] == sum(held_out(str(i), 0.5) for i in range(20))
    assert Image.open(tmp_path / "vae.png").width > 10 * 128


def test_without_held_out_portraits_there_is_nothing_to_evaluate(tmp_path):
    rows = [{"id": "1", "image": {"bytes": encode_jpeg(np.zeros((64, 64, 3), np.uint8))}}]
    write_shard(tmp_path / "portraits.parquet", rows, pa.schema([("id", pa.string()), ("image", IMAGE)]))
    arguments = {"size": 32, "z_dim": 4, "width": 4}
    save_model(tmp_path / "vae.safetensors", Vae(**arguments), arguments, {})
    with pytest.raises(UserError, match="holdout: found 0, which holds out no portrait; accepted: a larger share"):
        evaluate_vae(
            model=tmp_path / "vae.safetensors",
            portraits=[tmp_path / "portraits.parquet"],
            holdout=0,
            metrics=tmp_path / "metrics.json",
            picture=tmp_path / "vae.png",
        )
