"""Evaluation of StyleGAN: what it writes with masks and without, with conditions, for squares and rectangles."""

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from helpers.stylegan import write_collection
from PIL import Image

from facemill.config.latent import TagsConfig
from facemill.data.classes import SEVEN
from facemill.data.shards import read_rows, write_shard
from facemill.errors import UserError
from facemill.networks.store import save_model
from facemill.networks.stylegan2 import StyleGenerator
from facemill.networks.unet import Unet
from facemill.networks.vae import Vae
from facemill.stylegan import evaluate_stylegan as module
from facemill.stylegan.classes import accuracy_over_real, classes_of, slots_of_class
from facemill.stylegan.evaluate_stylegan import evaluate_stylegan
from facemill.taggers.probes import THUMBNAIL, Probes

CONDITIONS = {"hair_color": ["black_hair", "red_hair"], "smile": ["smile"]}
TAGS = TagsConfig(
    sources=["tags", "color"],
    hair_colors={"black_hair": ["#2a262d"], "red_hair": ["#b0302c"]},
    skin_colors={"tan": ["#d8a884"]},
    eye_colors={"blue_eyes": ["#4c6498"]},
)
ISSUE = ["frechet_distance", "frechet_floor", "frechet_over_floor", "kid", "precision", "recall", "copying_z", "images"]
ISSUE += ["diversity_vs_real", "overfit"]
"""Figures that there are in every case."""
OF_MASKS = ["valid", "valid_real", "valid_over_real", "mask_confidence", "colors", "midpoints_valid"]


@pytest.fixture(autouse=True)
def few_portraits(monkeypatch):
    """A small number of each kind, which is what takes time."""
    monkeypatch.setattr(module, "CURVE_MOST", 12)
    monkeypatch.setattr(module, "PAIRS", 8)


def write_generator(path: Path, ratio: int = 1, conditions: dict | None = None) -> Path:
    torch.manual_seed(0)
    arguments = {"height": 32, "ratio": ratio, "channels": [8] * (4 if ratio == 1 else 3), "z_dim": 8, "w_dim": 8}
    arguments |= {"mapping": 1, "conditions": conditions or {}, "combinations": 2 if conditions else 1}
    generator = StyleGenerator(**arguments)
    if conditions:
        generator.combinations.copy_(torch.tensor([[0, 1], [2, 0]]))
        generator.shares.copy_(torch.tensor([0.25, 0.75]))
    save_model(path, generator, arguments, {"min_images": 10})
    return path


def inputs(folder: Path, masked: bool, ratio: int = 1, conditions: dict | None = None) -> dict:
    """Arguments of the evaluation: 140 portraits of 64 pixels, a network of each kind with random weights."""
    collection = write_collection(folder, 64, 64 // ratio)
    torch.manual_seed(0)
    unet = {"size": 64, "decoder": "upsample", "decoder_channels": (16, 16, 8, 8, 8), "classes": len(SEVEN)}
    save_model(folder / "unet.safetensors", Unet(**unet), unet, {}, SEVEN)
    vae = {"size": 32, "z_dim": 4, "width": 4}
    save_model(folder / "vae.safetensors", Vae(**vae), vae, {})
    lines = ["images,overfit", *(f"{8 * line},{line / 100}" for line in range(1, 101))]
    (folder / "curves.csv").write_text("\n".join(lines) + "\n")
    networks = {"evaluator": "unet", "labeller": "unet"} if masked else {"vae": "vae"}
    out = folder / "out"
    out.mkdir()
    return {
        "model": write_generator(folder / "stylegan.safetensors", ratio, conditions),
        "curves": folder / "curves.csv",
        "portraits": collection["portraits"],
        "gate": collection["gate"] if masked else None,
        **{key: folder / f"{name}.safetensors" for key, name in networks.items()},
        "tags_config": TAGS if masked else TAGS.model_copy(update={"sources": ["tags"]}),
        "holdout": 0.2,
        "metrics": out / "metrics.json",
        "truncation": out / "truncation.csv",
        "truncation_picture": out / "truncation.png",
        "samples": out / "samples.png",
        "neighbors": out / "neighbors.png",
        "mask_limits": out / "mask_limits.json" if masked else None,
    }


def with_classes(folder: Path, paths: dict, source: str = "tags") -> dict:
    """Arguments for a generator with conditions: tags with their sources, and probes of pixels that know them all."""
    tags = folder / "named.parquet"
    rows = list(read_rows([folder / "tags.parquet"]))
    text = pa.string()
    groups = [key for group in ("hair_color", "skin_color", "eye_color") for key in (group, f"{group}_source")]
    schema = pa.schema([("id", text), ("tags", pa.list_(text)), *((key, text) for key in groups)])
    write_shard(tags, [row | {"hair_color_source": source} for row in rows], schema)
    size = THUMBNAIL**2 * 3
    tensors = {f"hair_color.{key}": np.zeros((size, 2) if key == "weight" else 2, np.float32) for key in PARTS}
    tensors |= {f"smile.{key}": np.zeros((size, 1) if key == "weight" else 1, np.float32) for key in PARTS}
    tensors["smile.bias"] += 1  # it takes every portrait for a smile
    Probes({"hair_color": ["black_hair", "red_hair"]}, tensors).save(folder / "probes.safetensors")
    named = {"tags": [tags], "probes": folder / "probes.safetensors"}
    return paths | named | {"classes": folder / "out/classes.png"}


PARTS = ("weight", "bias")


def evaluated(paths: dict) -> dict:
    evaluate_stylegan(**paths)
    metrics: dict = json.loads(paths["metrics"].read_text())
    return metrics


def test_with_masks_all_figures_of_a_collection_that_the_gate_accepts(tmp_path):
    paths = inputs(tmp_path, masked=True)
    metrics = evaluated(paths)
    assert {*ISSUE, *OF_MASKS} <= metrics.keys()
    assert metrics["training"] + metrics["held_out"] == 137, "three are rejected"
    assert metrics["samples"] == metrics["training"]
    assert metrics["images"] == 800 and metrics["overfit"] == pytest.approx(0.955), "the last tenth of the curves"
    assert metrics["frechet_over_floor"] == pytest.approx(metrics["frechet_distance"] / metrics["frechet_floor"])
    assert json.loads(paths["mask_limits"].read_text()).keys() == {"face", "eye", "mouth", "hair", "body"}
    assert metrics["color_shares"]["hair_color"].keys() == {"black_hair", "red_hair", "none"}
    with paths["truncation"].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["psi"]) for row in rows] == list(module.PSIS)
    assert {row["samples"] for row in rows} == {"12"}, "fewer than those of the metrics"
    assert metrics["path_length_features"] == metrics["features"]
    assert float(rows[0]["diversity"]) == 0 < float(rows[1]["diversity"]), "one picture"
    assert Image.open(paths["samples"]).size == (6 + 10 * 38, 6 + 10 * 38)
    grid = np.asarray(Image.open(paths["truncation_picture"]))[6 : 6 + 32, -10 * 38 :]
    assert (grid[:, :32] == grid[:, 9 * 38 : 9 * 38 + 32]).all(), "psi 0: the same bits"


def test_the_same_inputs_give_the_same_bytes(tmp_path):
    paths = inputs(tmp_path, masked=False)
    outputs = [paths[key] for key in ("metrics", "truncation", "truncation_picture", "samples", "neighbors")]
    evaluated(paths)
    first = [path.read_bytes() for path in outputs]
    evaluated(paths)
    assert [path.read_bytes() for path in outputs] == first


@pytest.mark.parametrize("ratio", [1, 2])
def test_without_masks_the_features_are_those_of_the_vae(tmp_path, ratio):
    paths = inputs(tmp_path, masked=False, ratio=ratio)
    metrics = evaluated(paths)
    assert metrics.keys() >= set(ISSUE)
    assert not metrics.keys() & set(OF_MASKS)
    assert metrics["features"].startswith("the VAE")
    assert Image.open(paths["samples"]).size[0] == 6 + 10 * 38


def test_with_masks_and_rectangles(tmp_path):
    metrics = evaluated(inputs(tmp_path, masked=True, ratio=2))
    assert metrics.keys() >= set(OF_MASKS)


@pytest.mark.parametrize("masked", [True, False])
def test_each_class_of_a_generator_with_conditions_is_measured(tmp_path, masked):
    paths = with_classes(tmp_path, inputs(tmp_path, masked, conditions=CONDITIONS))
    metrics = evaluated(paths)
    per_class = metrics["per_class"]
    assert list(per_class) == ["black_hair", "red_hair", "smile", "no smile"]
    assert per_class["smile"]["accuracy"] == 1 and per_class["no smile"]["accuracy"] == 0, "by the probes"
    assert per_class["smile"]["accuracy_real"] == 1
    assert per_class["smile"]["portraits"] + per_class["no smile"]["portraits"] == metrics["training"]
    assert metrics["class_accuracy"] == pytest.approx(np.mean([scores["accuracy"] for scores in per_class.values()]))
    assert metrics["within_class_diversity"] > 0
    assert Image.open(paths["classes"]).height > 4 * 38


@pytest.mark.parametrize(("labels", "classifier"), [("tags", "color"), ("color", "judge")])
def test_the_source_of_the_labels_does_not_decide_whether_they_are_met(tmp_path, labels, classifier):
    paths = with_classes(tmp_path, inputs(tmp_path, masked=True, conditions=CONDITIONS), labels)
    per_class = evaluated(paths)["per_class"]
    assert per_class["red_hair"]["labels"] == labels and per_class["red_hair"]["classifier"] == classifier
    assert per_class["smile"]["classifier"] == "judge"


def test_accuracy_over_that_of_real_portraits_is_of_the_classes_that_have_both():
    red, grey, blue, rare = (
        {"accuracy": own, "accuracy_real": real} for own, real in [(0.6, 0.8), (0.2, 0.8), (None, 0.1), (0.9, None)]
    )
    assert accuracy_over_real({"red": red, "grey": grey, "blue": blue, "rare": rare}) == pytest.approx(0.5)
    assert accuracy_over_real({"blue": blue, "rare": rare}) is None
    assert accuracy_over_real({"none right": {"accuracy": 0.0, "accuracy_real": 0.5}}) == 0


def test_portraits_of_a_class_have_its_slot_and_those_of_other_groups_are_drawn(tmp_path):
    sampler = module.Sampler.load(write_generator(tmp_path / "stylegan.safetensors", conditions=CONDITIONS))
    red, no_smile = classes_of(CONDITIONS)[1], classes_of(CONDITIONS)[3]
    seeds = range(200)
    slots = slots_of_class(sampler, seeds, red)
    assert set(slots[:, 0].tolist()) == {1}
    assert (slots[:, 1] == 0).float().mean() == pytest.approx(0.75, abs=0.1)
    assert set(slots_of_class(sampler, seeds, no_smile)[:, 1].tolist()) == {1}


def test_a_model_of_other_conditions_than_the_tags_have_is_refused(tmp_path):
    other = {"hair_color": ["black_hair", "green_hair"], "smile": ["smile"]}
    paths = with_classes(tmp_path, inputs(tmp_path, masked=False, conditions=other))
    with pytest.raises(UserError, match=r"stylegan.safetensors: .*green_hair.*accepted.*red_hair"):
        evaluate_stylegan(**paths)


def test_the_nearest_are_searched_among_all_portraits_however_few_are_looked_at(tmp_path, monkeypatch):
    paths = inputs(tmp_path, masked=False)
    _, reference, training = seen_of(paths)
    monkeypatch.setattr(module, "MOST", 20)
    _, of_few, few = seen_of(paths)
    assert len(few) == len(of_few.training) == 20 and len(few.every) == len(training)
    for ours, others in ((of_few.every, reference.every), (of_few.mirrored, reference.mirrored)):
        assert len(ours) == len(training)
        assert sorted(ours.hashes) == sorted(others.hashes)


def seen_of(paths: dict) -> tuple:
    """Judge, reference and portraits of the training."""
    sampler = module.Sampler.load(paths["model"])
    kinds = module.Kinds.of(paths["portraits"], paths["gate"], paths["holdout"])
    portraits = module.real_portraits(sampler, paths["portraits"], module.Conditions({}, {}), kinds, paths["holdout"])
    judge = module.Judge((64, 64), None, None, paths["vae"], None, TAGS)
    return judge, module.look_at_real(judge, *portraits, None), portraits[0]


def test_too_few_held_out_portraits_are_refused(tmp_path):
    paths = inputs(tmp_path, masked=False) | {"holdout": 0.01}
    with pytest.raises(UserError, match=r"holdout: found 0.01, which holds out \d portraits; accepted: .* 10 or more"):
        evaluate_stylegan(**paths)
