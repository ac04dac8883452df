"""The latents against N(0, 1), in numbers and a picture."""

import json

import numpy as np
from PIL import Image

from facemill.data.shards import write_shard
from facemill.latent.encode_latents import LATENT_SCHEMA
from facemill.latent.plot_latents import plot_latents


def test_plot_latents_writes_metrics_and_picture(tmp_path):
    rows = [
        {"id": str(i), "latent": list(z), "std": [0.0] * 60}
        for i, z in enumerate(np.random.default_rng(0).normal(size=(200, 60)))
    ]
    write_shard(tmp_path / "latents.parquet", rows, LATENT_SCHEMA)
    out = {"metrics": tmp_path / "metrics.json", "picture": tmp_path / "latents.png"}
    plot_latents(latents=[tmp_path / "latents.parquet"], seed=1, **out)
    values = json.loads(out["metrics"].read_text())
    assert values["images"] == 200 and len(values["mean"]) == 60
    assert values["median_kolmogorov_smirnov"] <= values["worst_kolmogorov_smirnov"] < 0.2
    assert Image.open(out["picture"]).width > 1500
