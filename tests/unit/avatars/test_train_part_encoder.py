"""Training of the autoencoder of parts: what it sees, and exact resume."""

import numpy as np
import pytest
from helpers.training import sigterm_in_step

from facemill.avatars.cut_regions import REGION_SCHEMA, part_rows
from facemill.avatars.regions import CROP, Part
from facemill.avatars.train_part_encoder import Crops, train_part_encoder
from facemill.config.fields import TrainingConfig
from facemill.data.shards import write_shard
from facemill.networks.part_autoencoder import SIZE, PartAutoencoder
from facemill.networks.store import load_model


@pytest.fixture
def regions(tmp_path):
    """Two shards of parts: green, in a square of opaque pixels that grows from part to part."""
    paths = [tmp_path / f"shard-{number}.parquet" for number in range(2)]
    for number, path in enumerate(paths):
        rows = []
        for row in range(4):
            crop = np.zeros((CROP, CROP, 4), np.uint8)
            crop[..., 1] = 200
            crop[10 : 30 + 8 * row, 10 : 40 + 30 * number, 3] = 255
            rows += part_rows(f"{number}{row}", {"eyes": Part(crop, np.zeros(3, np.float32), None, None)})
        write_shard(path, rows, REGION_SCHEMA)
    return paths


def test_the_network_sees_crops_over_white(regions):
    crops = Crops(regions)
    assert len(crops) == 8
    picture = crops[5]  # of the second shard
    assert picture.shape == (3, SIZE, SIZE)
    scale = SIZE / CROP
    assert picture[:, int(20 * scale), int(60 * scale)].tolist() == [0, 200, 0]
    assert picture[:, int(60 * scale), int(60 * scale)].tolist() == [255, 255, 255]


@pytest.mark.parametrize("kind", ["original", "fixed"])
def test_a_stopped_training_resumes_to_the_same_bytes(tmp_path, monkeypatch, regions, kind):
    monkeypatch.chdir(tmp_path)
    training = TrainingConfig(images=8, batch=2, learning_rate=1e-3)
    arguments = {"regions": regions, "training": training, "seed": 1, "kind": kind}
    uninterrupted, resumed = (
        {"model": tmp_path / name / "model.safetensors", "curves": tmp_path / f"{name}.csv"}
        for name in ("uninterrupted", "resumed")
    )
    train_part_encoder(**arguments, **uninterrupted)
    with sigterm_in_step(2):
        train_part_encoder(**arguments, **resumed)
    train_part_encoder(**arguments, **resumed)
    for product in ("model", "curves"):
        assert uninterrupted[product].read_bytes() == resumed[product].read_bytes()
    assert load_model(PartAutoencoder, resumed["model"]).kind == kind
