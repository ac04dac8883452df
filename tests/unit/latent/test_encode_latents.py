"""Latents of a shard: the encoder's means, row by row."""

import numpy as np
import pytest
import torch

from facemill.data.shards import decode_image, read_rows
from facemill.errors import UserError
from facemill.latent.encode_latents import BATCH, encode, encode_latents
from facemill.networks.device import device
from facemill.networks.store import load_model, save_model
from facemill.networks.vae import Vae, to_signed_range


@pytest.fixture
def vae(tmp_path):
    torch.manual_seed(0)
    arguments = {"size": 32, "z_dim": 5, "width": 8}
    save_model(tmp_path / "vae/model.safetensors", Vae(**arguments), arguments, {})
    return tmp_path / "vae/model.safetensors"


def test_latents_are_the_means_in_order(vae):
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (32, 32, 3), np.uint8) for _ in range(BATCH + 3)]
    network = load_model(Vae, vae)
    latents = list(encode(network, iter(images)))
    assert len(latents) == len(images)
    for i in (0, 1, BATCH, BATCH + 2):
        with torch.no_grad():
            pixels = torch.from_numpy(images[i]).permute(2, 0, 1)[None].to(device())
            mean, log_variance = network.encode(to_signed_range(pixels))
        np.testing.assert_allclose(latents[i][0], mean[0].cpu(), rtol=0.05, atol=0.03)
        np.testing.assert_allclose(latents[i][1], (log_variance[0] / 2).exp().cpu(), rtol=0.05, atol=0.03)
    assert np.ptp([latent[0] for latent, _ in latents]) > 0


def test_encode_latents_keeps_rows(vae, collection, tmp_path):
    portraits, out = collection["portraits"][1], tmp_path / "latents.parquet"
    encode_latents(vae=vae, portraits=portraits, limit=100, seed=1, latents=out)
    first = out.read_bytes()
    rows, sources = list(read_rows([out])), list(read_rows([portraits]))
    assert [row["id"] for row in rows] == [row["id"] for row in sources]
    network = load_model(Vae, vae)
    means, stds = zip(*encode(network, (decode_image(row["image"]["bytes"]) for row in sources)), strict=True)
    np.testing.assert_array_equal(np.float32([row["latent"] for row in rows]), means)
    np.testing.assert_array_equal(np.float32([row["std"] for row in rows]), stds)

    encode_latents(vae=vae, portraits=portraits, limit=100, seed=1, latents=out)
    assert out.read_bytes() == first


def test_encode_latents_samples_as_many_as_asked(vae, collection, tmp_path):
    portraits, out = collection["portraits"][1], tmp_path / "latents.parquet"

    def sampled_ids(**settings) -> list[str]:
        encode_latents(vae=vae, portraits=portraits, latents=out, **settings)
        return [row["id"] for row in read_rows([out])]

    ids = [row["id"] for row in read_rows([portraits])]
    sampled = sampled_ids(limit=7, seed=1)
    assert len(sampled) == 7 and sampled == [row_id for row_id in ids if row_id in sampled]
    assert sampled_ids(limit=7, seed=2) != sampled and set(sampled_ids(limit=8, seed=1)) > set(sampled)


def test_a_missing_vae_is_one_line(collection, tmp_path):
    with pytest.raises(UserError, match="no such model"):
        encode_latents(
            vae=tmp_path / "none",
            portraits=collection["portraits"][0],
            limit=1,
            seed=1,
            latents=tmp_path / "out.parquet",
        )
