"""Linear probes of latents with known directions."""

import json

import numpy as np
import pyarrow as pa
import pytest

from facemill.data.shards import write_shard
from facemill.data.splits import held_out
from facemill.latent.attributes import AttributeLabels
from facemill.latent.probe_latents import balanced_accuracies, fit_probes, probe_latents
from facemill.latent.tag_portraits import TAG_SCHEMA
from facemill.taggers.probes import Probes

LATENT_SCHEMA = pa.schema([("id", pa.string()), ("latent", pa.list_(pa.float32()))])


@pytest.fixture
def labelled() -> tuple[np.ndarray, AttributeLabels]:
    """Latents of which the first three axes are the hair color, the fourth a rare smile, and the fifth nothing."""
    random = np.random.default_rng(0)
    hair, smile = random.integers(0, 3, 600), random.random(600) < 0.1
    latents = np.concatenate([4 * np.eye(3)[hair], 4 * smile[:, None], np.zeros((600, 1))], 1)
    names = [("black_hair", "grey_hair", "red_hair")[number] for number in hair]
    hats = random.random(600) < 0.5
    return latents + random.normal(size=latents.shape), AttributeLabels(
        {"hair_color": names}, {"smile": smile, "hat": hats}
    )


def test_probes_find_what_is_there(labelled):
    latents, labels = labelled
    train = np.arange(600) < 400
    probes = fit_probes(latents[train], labels.subset(train), min_images=20)
    assert probes.groups == {"hair_color": ["black_hair", "grey_hair", "red_hair"]}
    accuracies = balanced_accuracies(probes, latents[~train], labels.subset(~train))
    assert accuracies["hair_color"]["balanced_accuracy"] > 0.95 and accuracies["hair_color"]["images"] == 200
    assert accuracies["smile"]["balanced_accuracy"] > 0.9
    assert 0.4 < accuracies["hat"]["balanced_accuracy"] < 0.6
    probs = probes.latent_probabilities(latents)
    np.testing.assert_allclose(probs[:, :3].sum(1), 1, atol=1e-5)


def test_two_names_and_nameless_latents(labelled):
    latents, labels = labelled
    names = [None if name == "grey_hair" else name for name in labels.groups["hair_color"]]
    probes = fit_probes(latents, AttributeLabels({"hair_color": names}), min_images=20)
    accuracies = balanced_accuracies(probes, latents, AttributeLabels({"hair_color": names}))["hair_color"]
    assert accuracies["images"] == sum(name is not None for name in names) and accuracies["balanced_accuracy"] > 0.95


def test_too_rare_attributes_have_no_probe(labelled):
    latents, labels = labelled
    probes = fit_probes(latents, labels, min_images=100)
    assert probes.booleans == ["hat"] and not probes.knows("smile")


def test_probe_latents_measures_on_held_out_portraits(labelled, tmp_path):
    latents, labels = labelled
    ids = [str(number) for number in range(600)]
    # held-out smiles are where no smile was trained: a probe that had seen them would find them
    points = [
        {"id": row_id, "latent": [*latent[:3], -latent[3] if held_out(row_id, 0.2) else latent[3], 0.0]}
        for row_id, latent in zip(ids, latents, strict=True)
    ]
    rows = [
        dict.fromkeys(TAG_SCHEMA.names) | {"id": row_id, "hair_color": hair, "tags": ["smile"] if smiles else []}
        for row_id, hair, smiles in zip(ids, labels.groups["hair_color"], labels.booleans["smile"], strict=True)
    ]
    write_shard(tmp_path / "l.parquet", points, LATENT_SCHEMA)
    write_shard(tmp_path / "t.parquet", rows, TAG_SCHEMA)
    text = ("id", pa.string())
    write_shard(tmp_path / "p.parquet", [{"id": row_id} for row_id in ids], pa.schema([text]))

    def probed() -> dict:
        probe_latents(
            latents=[tmp_path / "l.parquet"],
            tags=[tmp_path / "t.parquet"],
            portraits=[tmp_path / "p.parquet"],
            booleans=["smile"],
            min_images=20,
            holdout=0.2,
            probes=tmp_path / "probes.safetensors",
            metrics=tmp_path / "probes.json",
        )
        return json.loads((tmp_path / "probes.json").read_text())

    accuracies = probed()
    assert accuracies["hair_color"]["images"] == sum(held_out(row_id, 0.2) for row_id in ids)
    assert accuracies["hair_color"]["balanced_accuracy"] > 0.9 and accuracies["smile"]["balanced_accuracy"] < 0.5
    is_test = {row_id: not held_out(row_id, 0.2) and int(row_id) < 200 for row_id in ids}
    splits = [{"id": row_id, "split": "test" if is_test[row_id] else "train"} for row_id in ids]
    write_shard(tmp_path / "p.parquet", splits, pa.schema([text, ("split", pa.string())]))
    accuracies = probed()  # the collection's official test portraits, among which smiles are where they were trained
    assert accuracies["hair_color"]["images"] == sum(row["split"] == "test" for row in splits)
    assert accuracies["smile"]["balanced_accuracy"] > 0.9
    assert Probes.load(tmp_path / "probes.safetensors").booleans == ["smile"]
