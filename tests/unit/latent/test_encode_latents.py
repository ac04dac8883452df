"""Latents of a shard: the encoder's means, row by row."""

import numpy as np
import pytest
import torch

from facemill.data.shards import decode_image, read_rows
from facemill.errors import UserError
from facemill.latent.encode_latents import BATCH, encode
from facemill.networks.store import device, load_model, save_model
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


def test_encode_latents_keeps_rows(script, vae, collection, tmp_path):
    portraits, out = collection["portraits"][1], tmp_path / "latents.parquet"
    script("encode_latents")(vae=vae, portraits=portraits, limit=100, seed=1, out=out)
    first = out.read_bytes()
    rows, sources = list(read_rows([out])), list(read_rows([portraits]))
    assert [row["id"] for row in rows] == [row["id"] for row in sources]
    network = load_model(Vae, vae)
    means, spreads = zip(*encode(network, (decode_image(row["image"]["bytes"]) for row in sources)), strict=True)
    np.testing.assert_array_equal(np.float32([row["latent"] for row in rows]), means)
    np.testing.assert_array_equal(np.float32([row["std"] for row in rows]), spreads)

    script("encode_latents")(vae=vae, portraits=portraits, limit=100, seed=1, out=out)
    assert out.read_bytes() == first


def test_encode_latents_draws_as_many_as_asked(script, vae, collection, tmp_path):
    portraits, out = collection["portraits"][1], tmp_path / "latents.parquet"

    def drawn(**settings) -> list[str]:
        script("encode_latents")(vae=vae, portraits=portraits, out=out, **settings)
        return [row["id"] for row in read_rows([out])]

    ids = [row["id"] for row in read_rows([portraits])]
    chosen = drawn(limit=7, seed=1)
    assert len(chosen) == 7 and chosen == [id for id in ids if id in chosen]
    assert drawn(limit=7, seed=2) != chosen and set(drawn(limit=8, seed=1)) > set(chosen)


def test_a_missing_vae_is_one_line(script, collection, tmp_path):
    with pytest.raises(UserError, match="no such model"):
        script("encode_latents")(
            vae=tmp_path / "none", portraits=collection["portraits"][0], limit=1, seed=1, out=tmp_path / "out.parquet"
        )
