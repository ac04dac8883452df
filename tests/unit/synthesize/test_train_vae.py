"""Training of the VAE: the weights of pixels in the reconstruction loss, and exact resume."""

import pyarrow as pa
import pytest
import torch
from helpers.training import sigterm_in_step

from facemill.config.fields import TrainingConfig
from facemill.config.synthesize import VaeConfig
from facemill.data.classes import IGNORE, SEVEN, Class, ClassTable
from facemill.data.shards import IMAGE, read_rows, write_shard
from facemill.errors import UserError
from facemill.networks.store import load_model
from facemill.networks.vae import Vae
from facemill.synthesize.train_vae import BALANCE, region_weights, train_vae, training_rows

THREE = ClassTable(
    (
        Class(name="around", color="#000000", role="background"),
        Class(name="hair", color="#ff0000", role="hair"),
        Class(name="cloth", color="#00ff00", role="clothes"),
    )
)


@pytest.mark.parametrize("classes", [SEVEN, THREE])
def test_half_of_the_weight_is_equal_for_all_regions(classes):
    masks = torch.zeros((2, 64, 64), dtype=torch.uint8)
    masks[0, :32] = classes.role_ids("hair")[0]
    masks[0, -4:] = classes.role_ids("clothes")[0]
    weights = region_weights(masks, 32, classes)
    assert weights.shape == (2, 1, 32, 32)
    assert torch.allclose(weights.mean((1, 2, 3)), torch.ones(2))
    clothes = 2 / 32  # of the image
    assert torch.isclose(weights[0, 0, -2:].sum() / 32**2, torch.tensor(BALANCE / 3 + (1 - BALANCE) * clothes))
    assert torch.allclose(weights[1], torch.ones(1, 32, 32))  # one region alone: all pixels count alike


def test_a_portrait_without_any_region_still_counts():
    weights = region_weights(torch.full((1, 64, 64), IGNORE, dtype=torch.uint8), 32, SEVEN)
    assert torch.allclose(weights, torch.full((1, 1, 32, 32), 1 - BALANCE))


def test_the_official_test_split_changes_no_weight(tmp_path, monkeypatch, pairs):
    monkeypatch.chdir(tmp_path)
    rows = list(read_rows([pairs("pairs", range(12), THREE)]))
    schema = pa.schema([("id", pa.string()), ("image", IMAGE), ("split", pa.string())])
    training = TrainingConfig(images=16, batch=4, learning_rate=1e-3)
    settings = VaeConfig(size=32, z_dim=6, width=4, kl_weight=0.01, training=training)
    models = []
    for name, other in (("a", 0), ("b", 4)):  # where the images of the test portraits differ
        models.append(tmp_path / f"models/{name}/model.safetensors")
        images = [row["image"] for row in rows[other : other + 4] + rows[4:]]
        splits = ["test"] * 4 + ["train"] * 8
        columns = zip([row["id"] for row in rows], images, splits, strict=True)
        write_shard(tmp_path / name, [dict(zip(schema.names, row, strict=True)) for row in columns], schema)
        paths = {"portraits": [tmp_path / name], "model": models[-1], "curves": tmp_path / f"{name}.csv"}
        train_vae(settings=settings, seed=1, holdout=0.2, **paths)
    assert models[0].read_bytes() == models[1].read_bytes()


@pytest.mark.parametrize("with_masks", [True, False])
def test_a_stopped_training_resumes_to_the_same_bytes(tmp_path, monkeypatch, pairs, with_masks):
    monkeypatch.chdir(tmp_path)
    rows = list(read_rows([pairs("pairs", range(12), THREE)]))
    for column, classes in (("image", None), ("mask", THREE)):
        schema = pa.schema([("id", pa.string()), (column, IMAGE)])
        write_shard(tmp_path / column, [{name: row[name] for name in schema.names} for row in rows], schema, classes)
    training = TrainingConfig(images=32, batch=4, learning_rate=1e-3)
    arguments = {
        "settings": VaeConfig(size=32, z_dim=6, width=4, kl_weight=0.01, training=training),
        "seed": 1,
        "holdout": 0.2,
        "portraits": [tmp_path / "image"],
        "pseudo_labels": [tmp_path / "mask"] if with_masks else None,
    }
    uninterrupted, resumed = (
        {"model": tmp_path / name / "model.safetensors", "curves": tmp_path / f"{name}.csv"}
        for name in ("uninterrupted", "resumed")
    )
    train_vae(**arguments, **uninterrupted)
    with sigterm_in_step(3):
        train_vae(**arguments, **resumed)
    train_vae(**arguments, **resumed)
    for product in ("model", "curves"):
        assert uninterrupted[product].read_bytes() == resumed[product].read_bytes()
    assert load_model(Vae, resumed["model"]).z_dim == 6


@pytest.mark.parametrize(
    ("holdout", "fault"),
    [
        (
            0.001,
            "^holdout: found 0.001, which holds out 0 of 12 portraits; accepted: a share that",
        ),
        (0.999, "^portraits: all are held out, or of the collection's own test split; accepted: others, too$"),
    ],
)
def test_a_share_that_leaves_nothing_to_evaluate_on_or_to_learn_from_is_refused(pairs, holdout, fault):
    shard = pairs("pairs", range(12), THREE)
    with pytest.raises(UserError, match=fault):
        training_rows([shard], [shard], holdout)
    assert 0 < len(training_rows([shard], [shard], 0.3)) < 11
