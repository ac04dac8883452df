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


@pytest.fixture
def paths(tmp_path):
    """A VAE and twenty portraits, and the outputs."""
    random = np.random.default_rng(0)
    rows = [
        {"id": str(i), "image": {"bytes": encode_jpeg(random.integers(0, 256, (64, 64, 3), np.uint8))}}
        for i in range(20)
    ]
    write_shard(tmp_path / "portraits.parquet", rows, pa.schema([("id", pa.string()), ("image", IMAGE)]))
    torch.manual_seed(0)
    arguments = {"size": 32, "z_dim": 4, "width": 4}
    save_model(tmp_path / "vae.safetensors", Vae(**arguments), arguments, {})
    inputs = {"model": tmp_path / "vae.safetensors", "portraits": [tmp_path / "portraits.parquet"]}
    return inputs | {"metrics": tmp_path / "metrics.json", "picture": tmp_path / "vae.png"}


def test_metrics_and_picture(paths):
    evaluate_vae(**paths, holdout=0.5)
    metrics = json.loads(paths["metrics"].read_text())
    assert list(metrics) == ["reconstruction_l1", "reconstruction_l1_std", "kl", "images"]
    assert 0 < metrics["reconstruction_l1"] < 1 and metrics["kl"] > 0
    assert metrics["images"] == sum(held_out(str(i), 0.5) for i in range(20))
    assert Image.open(paths["picture"]).width > 10 * 128


def test_without_held_out_portraits_there_is_nothing_to_evaluate(paths):
    with pytest.raises(UserError, match="holdout: found 0, which holds out no portrait; accepted: a larger share"):
        evaluate_vae(**paths, holdout=0)
