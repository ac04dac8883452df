"""Linear probes of latents with known directions, and of pixels."""

import json
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from facemill.data.shards import IMAGE, encode_jpeg, write_shard
from facemill.data.splits import held_out
from facemill.latent.attributes import AttributeLabels
from facemill.latent.probe_latents import balanced_accuracies, fit_probes, probe_latents
from facemill.latent.tag_portraits import TAG_SCHEMA
from facemill.taggers.probes import Probes, thumbnails
from facemill.taggers.tagger import TaggerInput

LATENT_SCHEMA = pa.schema([("id", pa.string()), ("latent", pa.list_(pa.float32()))])
PORTRAIT_SCHEMA = pa.schema([("id", pa.string()), ("image", IMAGE)])
IDS = [str(number) for number in range(600)]


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
    probs = probes.feature_probabilities(latents)
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


def test_without_probes_nothing_is_measured(labelled):
    latents, labels = labelled
    probes = fit_probes(latents, labels, min_images=1000)
    assert probes.feature_probabilities(latents).shape == (600, 0)
    assert balanced_accuracies(probes, latents, labels) == {}


def portraits_of(labels: AttributeLabels, hidden: np.ndarray | None = None) -> list[dict]:
    """Portraits of 8 px in the color of their hair, with a white stripe where they smile; `hidden` ones are black."""
    rows = []
    for number, (hair, smiles) in enumerate(zip(labels.groups["hair_color"], labels.booleans["smile"], strict=True)):
        image = np.full((8, 8, 3), {"black_hair": 30, "grey_hair": 130, "red_hair": (160, 40, 40)}[hair], np.uint8)
        image[6:] = 255 if smiles else 0
        image[hidden is not None and hidden[number]] = 0
        rows.append({"id": str(number), "image": {"bytes": encode_jpeg(image)}})
    return rows


@pytest.fixture
def probed(labelled, tmp_path) -> Callable[..., dict]:
    """Fits probes to latents and portraits (rows of their schemas) with the tags of `labelled`: the accuracies."""
    _, labels = labelled
    smiles = [["smile"] if smiles else [] for smiles in labels.booleans["smile"]]
    rows = [
        dict.fromkeys(TAG_SCHEMA.names) | {"id": row_id, "hair_color": hair, "tags": tags}
        for row_id, hair, tags in zip(IDS, labels.groups["hair_color"], smiles, strict=True)
    ]
    write_shard(tmp_path / "t.parquet", rows, TAG_SCHEMA)

    def run(points: np.ndarray | list, portraits: list[dict], schema: pa.Schema = PORTRAIT_SCHEMA) -> dict:
        latents = [{"id": row_id, "latent": latent} for row_id, latent in zip(IDS, points, strict=True)]
        write_shard(tmp_path / "l.parquet", latents, LATENT_SCHEMA)
        write_shard(tmp_path / "p.parquet", portraits, schema)
        probe_latents(
            latents=[tmp_path / "l.parquet"],
            tags=[tmp_path / "t.parquet"],
            portraits=[tmp_path / "p.parquet"],
            booleans=["smile"],
            min_images=20,
            holdout=0.2,
            judge=tmp_path / "judge.safetensors",
            metrics=tmp_path / "probes.json",
        )
        return json.loads((tmp_path / "probes.json").read_text())

    return run


def test_the_judge_learns_from_pixels_alone_and_not_from_held_out_portraits(labelled, probed, tmp_path):
    latents, labels = labelled
    accuracies, judge = probed(latents, portraits_of(labels)), (tmp_path / "judge.safetensors").read_bytes()
    assert all(values["judge_balanced_accuracy"] == 1 for values in accuracies.values())
    is_held_out = np.array([held_out(row_id, 0.2) for row_id in IDS])
    accuracies = probed(latents[::-1], portraits_of(labels, is_held_out))
    assert accuracies["hair_color"]["balanced_accuracy"] < 0.5
    assert (tmp_path / "judge.safetensors").read_bytes() == judge
    assert accuracies["smile"]["judge_balanced_accuracy"] == 0.5  # the portraits that it is measured on are black
    red = TaggerInput(np.full((64, 64, 3), (160, 40, 40), np.uint8))
    loaded = Probes.load(tmp_path / "judge.safetensors", thumbnails)
    [row] = loaded.estimate_specific_tags([red], ["red_hair", "black_hair", "grey_hair"])
    assert max(row, key=row.__getitem__) == "red_hair"


def test_probe_latents_measures_on_held_out_portraits(labelled, probed, tmp_path):
    latents, labels = labelled
    # held-out smiles are where no smile was trained: a probe that had seen them would find them
    points = [
        [*latent[:3], -latent[3] if held_out(row_id, 0.2) else latent[3], 0.0]
        for row_id, latent in zip(IDS, latents, strict=True)
    ]
    portraits = portraits_of(labels)
    accuracies = probed(points, portraits)
    assert accuracies["hair_color"]["images"] == sum(held_out(row_id, 0.2) for row_id in IDS)
    assert accuracies["hair_color"]["balanced_accuracy"] > 0.9 and accuracies["smile"]["balanced_accuracy"] < 0.5
    is_test = {row_id: not held_out(row_id, 0.2) and int(row_id) < 200 for row_id in IDS}
    splits = [row | {"split": "test" if is_test[row["id"]] else "train"} for row in portraits]
    # the collection's official test portraits, among which smiles are where they were trained
    accuracies = probed(points, splits, PORTRAIT_SCHEMA.append(pa.field("split", pa.string())))
    assert accuracies["hair_color"]["images"] == sum(row["split"] == "test" for row in splits)
    assert accuracies["smile"]["balanced_accuracy"] > 0.9
    assert Probes.load(tmp_path / "judge.safetensors").booleans == ["smile"]
