"""Latents against N(0, 1)."""

import json

import numpy as np
import pytest
from PIL import Image
from scipy.stats import norm

from facemill.data.shards import write_shard
from facemill.latent.encode_latents import LATENT_SCHEMA
from facemill.latent.posterior import ks_from_normal, posterior_draws


def test_draws_have_their_means_and_spreads():
    means, spreads = np.tile([3.0, -1.0], (5000, 1)), np.tile([0.5, 2.0], (5000, 1))
    draws = posterior_draws(means, spreads, seed=1)
    np.testing.assert_allclose(draws.mean(0), [3, -1], atol=0.1)
    np.testing.assert_allclose(draws.std(0), [0.5, 2], rtol=0.05)
    np.testing.assert_array_equal(draws, posterior_draws(means, spreads, seed=1))


def test_distances_from_a_normal():
    draws = np.random.default_rng(0).normal([0, 1, 0], [1, 1, 0.01], (4000, 3))
    found = ks_from_normal(draws)
    near, moved, narrow = found["kolmogorov_smirnov"]
    assert near < 0.03
    assert moved == pytest.approx(2 * norm.cdf(0.5) - 1, abs=0.03)
    assert narrow == pytest.approx(0.5, abs=0.02)
    assert found["mean"][1] == pytest.approx(1, abs=0.1) and found["deviation"][2] == pytest.approx(0.01, abs=0.001)


def test_plot_latents_writes_metrics_and_picture(script, tmp_path):
    rows = [
        {"id": str(i), "latent": list(z), "std": [0.0] * 60}
        for i, z in enumerate(np.random.default_rng(0).normal(size=(200, 60)))
    ]
    write_shard(tmp_path / "latents.parquet", rows, LATENT_SCHEMA)
    out = {"metrics": tmp_path / "metrics.json", "picture": tmp_path / "latents.png"}
    script("plot_latents")(latents=[tmp_path / "latents.parquet"], seed=1, **out)
    found = json.loads(out["metrics"].read_text())
    assert found["images"] == 200 and len(found["mean"]) == 60
    assert found["median_kolmogorov_smirnov"] <= found["worst_kolmogorov_smirnov"] < 0.2
    assert Image.open(out["picture"]).width > 1500
