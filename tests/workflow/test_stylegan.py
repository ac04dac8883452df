"""The stage `stylegan` from raw images on, on the tiny config: of squares, and of conditional portraits of 2 : 1."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.running import made_once, new_project, planned, snakemake
from PIL import Image

from facemill.data.shards import mask_classes
from facemill.files import sha256
from facemill.inference.vectors import Vectors
from facemill.latent.rows import joined_rows
from facemill.networks.store import load_model
from facemill.networks.style_discriminator import StyleDiscriminator
from facemill.networks.stylegan2 import StyleGenerator

TALL = [
    "portraits={size: 128, ratio: 2}",
    "stylegan={size: 64, conditions: [hair_color, pale_skin], discriminator: acgan, loss: relativistic}",
]
FIGURES = {
    *("frechet_distance", "frechet_floor", "frechet_over_floor", "kid", "precision", "recall", "valid", "valid_real"),
    *("valid_over_real", "diversity_vs_real", "copying_z", "overfit", "images"),
}


@pytest.fixture(scope="session")
def tall(tmp_path_factory) -> Path:
    """The stage from raw images on, for portraits of 2 : 1."""

    def make(folder: Path) -> None:
        code, said = snakemake(new_project(folder / "facemill"), "--config", *TALL, "--", "stylegan")
        assert code == 0, said

    return made_once(tmp_path_factory, "tall", make) / "facemill"


@pytest.fixture
def changeable(enough, tmp_path) -> Path:
    """A copy of the project."""
    return shutil.copytree(enough, tmp_path / "facemill")


def test_the_stage_ends_with_model_figures_and_pictures(enough):
    stage = enough / "results/tiny/stylegan"
    metrics = json.loads((stage / "metrics.json").read_text())
    assert metrics.keys() >= FIGURES and metrics["images"] == 64
    curves = np.genfromtxt(stage / "curves.csv", delimiter=",", names=True)
    assert metrics["overfit"] == pytest.approx(curves["overfit"][-1], rel=1e-3)
    for picture in ("samples", "truncation", "neighbors"):
        assert (stage / f"{picture}.png").stat().st_size > 1000
    assert load_model(StyleGenerator, stage).width == 32
    factors = json.loads((stage / "factors.json").read_text())
    assert all(factor["largest"] for kind in ("pca", "closed_form") for factor in factors[kind]["factors"])
    for path in ("interpolations.png", "interpolations.webp", "walks.webp"):
        with Image.open(stage / path) as picture:
            assert picture.format == path.rpartition(".")[2].upper() and min(picture.size) > 96
    assert planned(enough, "--", "stylegan") == {}


def test_edits_are_found_measured_and_applied(enough, tmp_path):
    stage = enough / "results/tiny/stylegan"
    edits = json.loads((stage / "edits.json").read_text())
    for way in ("direction", "locked", "local", "gaugan"):
        assert edits[way].keys() >= {"success", "outside", "drift", "mask_iou"}
    assert "open_mouth" in edits["attributes"]
    scores = [edits[way]["attributes"]["open_mouth"] for way in ("direction", "locked", "local", "gaugan")]
    assert all(0 <= of_way["outside"] <= 1 and of_way["mask_iou"] > 0 for of_way in scores)
    assert all(scores["outside"] == 0 for scores in edits["locked"]["attributes"].values())
    assert all(scores["beyond_reach"] == 0 for scores in edits["local"]["attributes"].values())
    names = sorted(path.stem for path in (stage / "edits").iterdir())
    assert names == ["blonde_hair", "open_mouth", "smile"]
    features = json.loads((stage / "features.json").read_text())
    assert features["best"]["background"]["gain"] is not None
    for path in ("edits.png", "edits.webp", "features.png"):
        with Image.open(stage / path) as picture:
            assert min(picture.size) > 32


def test_generated_portraits_are_labelled_by_a_few(changeable):
    results = changeable / "results/tiny"
    generated, propagated = (sorted((results / kind).glob("*.parquet")) for kind in ("generated", "propagated"))
    pairs = list(joined_rows((generated, ["seed"]), (propagated, ["mask", "confidence"])))
    assert len(pairs) == 80 and mask_classes(propagated) == mask_classes(generated)
    figures = json.loads((results / "stylegan/propagation.json").read_text())
    assert list(figures["by_labelled"]) == ["1", "2", "4", "8", "16"]
    code, said = snakemake(changeable, "--", "stylegan_review")
    assert code == 0, said
    labelme = results / "stylegan_review/labelme"
    assert sorted(path.stem for path in labelme.glob("*.json")) == sorted(figures["labelled"])
    shutil.copytree(labelme, changeable / "labelled")
    of_labels = ["--config", "propagation={labelled: labelled}", "--", "propagated"]
    assert planned(changeable, *of_labels) == {"propagate_labels": 1, "propagated": 1}
    code, said = snakemake(changeable, *of_labels)
    assert code == 0, said
    assert planned(changeable, *of_labels) == {}
    label = changeable / "labelled" / f"{figures['labelled'][0]}.json"
    label.write_text(label.read_text() + "\n")  # as labelme saves: in its place, so that the folder's date stays
    assert planned(changeable, *of_labels) == {"propagate_labels": 1, "propagated": 1}


def test_generated_portraits_have_masks_tags_and_vectors_along_which_they_are_edited(enough):
    results = enough / "results/tiny"
    generated, tags = (sorted((results / kind).glob("shard-*.parquet")) for kind in ("generated", "generated_tags"))
    rows = list(joined_rows((generated, ["seed", "mask", "rejected"]), (tags, ["hair_color", "skin_color"])))
    assert sorted(row["seed"] for row in rows) == list(range(80)) and len(generated) == 2
    assert mask_classes(generated) == mask_classes(sorted((results / "pseudo_labels").glob("shard-*.parquet")))
    assert sum(row["hair_color"] is not None for row in rows) > 40
    names = {row[group] for row in rows for group in ("hair_color", "skin_color")}
    vectors = Vectors.load(results / "stylegan/vectors.safetensors")
    metrics = json.loads((results / "stylegan/vectors_metrics.json").read_text())
    assert list(metrics) == vectors.names() and set(vectors.names()) <= names
    for path in ("vectors.png", "vectors.webp"):
        with Image.open(results / "stylegan" / path) as picture:
            assert picture.format == path.rpartition(".")[2].upper() and min(picture.size) > 32
    jobs = planned(enough, "--config", "generated={min_confidence: 0.5}", "--", "stylegan")
    assert jobs["generate_samples"] == 2 and "train_stylegan" not in jobs


def test_without_masks_the_probes_name_generated_portraits(enough):
    source = "source={images: results/tiny/source/images, metadata: [results/tiny/source/metadata.jsonl]}"
    config = ["dataset=plain", "kind=danbooru", source, "tags={sources: [tags]}"]
    jobs = planned(enough, "--config", *config, "--", "stylegan")
    assert {"probe_latents", "train_vae", "generate_samples", "evaluate_stylegan_vectors"} <= jobs.keys()
    assert not {"train_unet", "pseudo_label", "gate_pseudo_labels"} & jobs.keys()
    code, said = snakemake(enough, "-n", "--printshellcmds", "--config", *config, "--", "stylegan")
    [command, *_] = [line for line in said.splitlines() if "scripts/generate_samples.py" in line]
    assert code == 0 and "--probes" in command and "--unet" not in command and "--mask-limits" not in command


def test_a_second_training_has_the_same_bytes_and_a_setting_makes_another(changeable):
    files = [changeable / f"results/tiny/stylegan/{name}.safetensors" for name in ("model", "discriminator")]
    before = [sha256(path) for path in files]
    forced = ["--forcerun", "train_stylegan", "--", "results/tiny/stylegan/model.safetensors"]
    code, said = snakemake(changeable, *forced)
    assert code == 0, said
    assert [sha256(path) for path in files] == before
    jobs = planned(changeable, "--config", "stylegan={loss: relativistic}", "--", "stylegan")
    assert jobs["train_stylegan"] == 1 and not any(name.startswith("train_unet") for name in jobs)


def test_it_starts_from_a_finished_model(changeable):
    stage, initial = changeable / "results/tiny/stylegan", changeable / "initial"
    stage.rename(initial)
    target = "results/tiny/stylegan/model.safetensors"
    code, said = snakemake(changeable, "--config", f"stylegan={{initial: {initial}}}", "--", target)
    assert code == 0, said
    settings = json.loads((stage / "model.json").read_text())["settings"]
    assert settings["initial"] == str(initial)
    assert sha256(stage / "model.safetensors") != sha256(initial / "model.safetensors")


def test_portraits_twice_as_high_as_wide_that_can_be_asked_for_names(tall):
    stage = tall / "results/tiny/stylegan"
    generator = load_model(StyleGenerator, stage)
    assert (generator.height, generator.width) == (64, 32)
    assert set(generator.conditions) == {"hair_color", "pale_skin"} and len(generator.conditions["hair_color"]) > 3
    judge = load_model(StyleDiscriminator, stage / "discriminator.safetensors")
    assert [len(classifier.bias) for classifier in judge.classifiers] == generator.slots
    metrics = json.loads((stage / "metrics.json").read_text())
    assert metrics.keys() >= FIGURES | {"class_accuracy", "class_accuracy_real", "within_class_diversity"}
    with Image.open(stage / "classes.png") as picture:
        assert min(picture.size) > 64
