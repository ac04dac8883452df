"""Linear probes of latents with known directions, and as judges of images."""

import json

import numpy as np
import pyarrow as pa
import pytest
import torch

from facemill.data.shards import write_shard
from facemill.data.splits import held_out
from facemill.errors import UserError
from facemill.latent.attribute_vectors import Labels
from facemill.latent.encode_latents import LATENT_SCHEMA, encode
from facemill.latent.probe_latents import Probes, balanced_accuracies, fit_probes, load_probes, save_probes
from facemill.latent.tag_portraits import TAG_SCHEMA
from facemill.networks.vae import Vae
from facemill.taggers.tagger import TaggerInput


@pytest.fixture
def labelled() -> tuple[np.ndarray, Labels]:
    """Latents of which the first three axes are the hair color, the fourth a rare smile, and the fifth nothing."""
    random = np.random.default_rng(0)
    hair, smile = random.integers(0, 3, 600), random.random(600) < 0.1
    latents = np.concatenate([4 * np.eye(3)[hair], 4 * smile[:, None], np.zeros((600, 1))], 1)
    names = [("black_hair", "grey_hair", "red_hair")[number] for number in hair]
    hats = random.random(600) < 0.5
    return latents + random.normal(size=latents.shape), Labels({"hair_color": names}, {"smile": smile, "hat": hats})


def test_probes_find_what_is_there(labelled):
    latents, labels = labelled
    train = np.arange(600) < 400
    probes = fit_probes(latents[train], labels.part(train), min_images=20)
    assert probes.groups == {"hair_color": ["black_hair", "grey_hair", "red_hair"]}
    found = balanced_accuracies(probes, latents[~train], labels.part(~train))
    assert found["hair_color"]["balanced_accuracy"] > 0.95 and found["hair_color"]["images"] == 200
    assert found["smile"]["balanced_accuracy"] > 0.9
    assert 0.4 < found["hat"]["balanced_accuracy"] < 0.6
    probable = probes.of_latents(latents)
    np.testing.assert_allclose(probable[:, :3].sum(1), 1, atol=1e-5)


def test_two_names_and_nameless_latents(labelled):
    latents, labels = labelled
    names = [None if name == "grey_hair" else name for name in labels.groups["hair_color"]]
    probes = fit_probes(latents, Labels({"hair_color": names}), min_images=20)
    found = balanced_accuracies(probes, latents, Labels({"hair_color": names}))["hair_color"]
    assert found["images"] == sum(name is not None for name in names) and found["balanced_accuracy"] > 0.95


def test_too_rare_attributes_have_no_probe(labelled):
    latents, labels = labelled
    probes = fit_probes(latents, labels, min_images=100)
    assert probes.booleans == ["hat"] and not probes.knows("smile")


def test_probes_look_at_images_through_the_encoder(labelled, tmp_path):
    torch.manual_seed(0)
    vae = Vae(size=16, z_dim=5, width=4).eval()
    save_probes(tmp_path / "probes.safetensors", fit_probes(*labelled, min_images=20))
    probes = load_probes(tmp_path / "probes.safetensors", vae)
    images = [np.random.default_rng(i).integers(0, 256, (16, 16, 3), np.uint8) for i in range(3)]
    latents = np.stack([mean for mean, _ in encode(vae, images)])
    portraits = [TaggerInput(image) for image in images]
    np.testing.assert_allclose(probes.extract_feature(portraits), latents)
    found = probes.estimate_specific_tags(portraits, ["red_hair", "smile"])
    assert [of["red_hair"] for of in found] == pytest.approx(probes.of_latents(latents)[:, 2])
    verdicts = probes.verdicts(portraits)
    assert verdicts.keys() == {"hair_color", "hat", "smile"}
    np.testing.assert_array_equal(verdicts["smile"], [of["smile"] > 0.5 for of in found])
    (tmp_path / "probes.safetensors").write_bytes(b"nothing")
    with pytest.raises(UserError, match="probes.safetensors: not a readable file of probes"):
        load_probes(tmp_path / "probes.safetensors", vae)


def test_probe_latents_measures_on_held_out_portraits(script, labelled, tmp_path):
    latents, labels = labelled
    ids = [str(number) for number in range(600)]
    # held-out smiles are where no smile was trained: a probe that had seen them would find them
    points = [
        {"id": id, "latent": [*latent[:3], -latent[3] if held_out(id, 0.2) else latent[3], 0.0]}
        for id, latent in zip(ids, latents, strict=True)
    ]
    rows = [
        dict.fromkeys(TAG_SCHEMA.names) | {"id": id, "hair_color": hair, "tags": ["smile"] if smiles else []}
        for id, hair, smiles in zip(ids, labels.groups["hair_color"], labels.booleans["smile"], strict=True)
    ]
    write_shard(tmp_path / "l.parquet", points, LATENT_SCHEMA)
    write_shard(tmp_path / "t.parquet", rows, TAG_SCHEMA)
    text = ("id", pa.string())
    write_shard(tmp_path / "p.parquet", [{"id": id} for id in ids], pa.schema([text]))

    def probed() -> dict:
        script("probe_latents")(
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

    found = probed()
    assert found["hair_color"]["images"] == sum(held_out(id, 0.2) for id in ids)
    assert found["hair_color"]["balanced_accuracy"] > 0.9 and found["smile"]["balanced_accuracy"] < 0.5
    splits = [{"id": id, "split": "test" if not held_out(id, 0.2) and int(id) < 200 else "train"} for id in ids]
    write_shard(tmp_path / "p.parquet", splits, pa.schema([text, ("split", pa.string())]))
    found = probed()  # the collection's own test portraits, among which smiles are where they were trained
    assert found["hair_color"]["images"] == sum(row["split"] == "test" for row in splits)
    assert found["smile"]["balanced_accuracy"] > 0.9
    assert isinstance(load_probes(tmp_path / "probes.safetensors", Vae(size=16, z_dim=5, width=4)), Probes)
