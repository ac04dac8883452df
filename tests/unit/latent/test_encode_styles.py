"""Styles of a shard by region: the painter's, row by row."""

import numpy as np
import pytest
import torch

from facemill.data.classes import SEVEN
from facemill.data.shards import read_rows
from facemill.inference.painter import Painter
from facemill.latent.encode_styles import encode_styles
from facemill.latent.rows import images_of, masks_of
from facemill.networks.region_styles import CODE
from facemill.networks.spade import Generator
from facemill.networks.store import save_model


@pytest.fixture
def gaugan(tmp_path):
    torch.manual_seed(0)
    arguments = {"size": 32, "z": "regions", "z_dim": 7 * CODE, "ngf": 4, "nhidden": 4, "classes": 7}
    generator = Generator(**arguments)
    generator.style_mean.normal_()
    save_model(tmp_path / "gaugan/model.safetensors", generator, arguments, {}, SEVEN)
    return tmp_path / "gaugan/model.safetensors"


def test_styles_are_those_that_the_painter_reads_under_the_masks(gaugan, collection, tmp_path):
    portraits, masks, out = collection["portraits"][1], collection["pseudo_labels"][1], tmp_path / "styles.parquet"
    encode_styles(gaugan=gaugan, portraits=portraits, pseudo_labels=masks, limit=100, seed=1, styles=out)
    rows = list(read_rows([out]))
    ids = [row["id"] for row in rows]
    assert ids == [row["id"] for row in read_rows([portraits], ["id"])]
    images, of = images_of([portraits], ids), masks_of([masks], ids, SEVEN)
    pixels = torch.from_numpy(np.stack([images[row_id] for row_id in ids])).permute(0, 3, 1, 2)
    expected = Painter.load(gaugan).encode_styles(pixels, torch.from_numpy(np.stack([of[row_id] for row_id in ids])))
    np.testing.assert_allclose([row["latent"] for row in rows], expected, atol=1e-6)


def test_styles_are_of_as_many_portraits_as_latents(gaugan, collection, tmp_path):
    shards = {"portraits": collection["portraits"][1], "pseudo_labels": collection["pseudo_labels"][1]}
    encode_styles(gaugan=gaugan, **shards, limit=3, seed=1, styles=tmp_path / "styles.parquet")
    assert len(list(read_rows([tmp_path / "styles.parquet"]))) == 3
