"""The stage `translate` from raw images on, on the tiny config: CycleGAN, and through masks."""

import csv
import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from helpers.running import planned, snakemake
from PIL import Image

from facemill.data.shards import mask_classes, read_rows, write_shard
from facemill.files import sha256
from facemill.networks.store import model_settings

RESULTS = "results/tiny"


@pytest.fixture
def changeable(enough, tmp_path) -> Path:
    """A copy of the project."""
    return shutil.copytree(enough, tmp_path / "facemill")


def ids(folder: Path) -> list[str]:
    return [row["id"] for path in sorted(folder.glob("shard-*.parquet")) for row in read_rows([path], ["id"])]


def test_cyclegan_ends_with_both_translators_their_figures_and_all_portraits_translated(enough):
    stage = enough / RESULTS / "cyclegan"
    metrics = json.loads((stage / "metrics.json").read_text())
    figures = {"truth", "frechet_scaled", "mask_miou", "cycle", "hidden_messages", "changed", "called", "no_face"}
    assert all(metrics[way].keys() >= figures for way in ("a2b", "b2a"))
    points = list(csv.DictReader((stage / "points.csv").open()))
    [chosen] = [row for row in points if row["chosen"] == "1"]
    assert len(points) == 8
    for way in ("a2b", "b2a"):
        assert model_settings(stage / f"{way}.safetensors")["images"] == int(chosen["images"])
        source = "portraits" if way == "a2b" else "other"
        assert ids(stage / way) == ids(enough / RESULTS / source)
    for picture in ("cyclegan", "best_and_worst", "points"):
        with Image.open(stage / f"{picture}.png") as image:
            assert min(image.size) > 100
    assert planned(enough, "--", "cyclegan") == {}


def test_through_masks_ends_with_a_complete_model_figures_and_portraits(changeable):
    """With the other hand's exact masks in place of those by a U-Net that learned for a second."""
    for path in sorted((changeable / RESULTS / "pseudo_labels").glob("shard-*.parquet")):
        rows, exact = list(read_rows([path])), read_rows([changeable / RESULTS / "other" / path.name], ["mask"])
        masks = [row | other for row, other in zip(rows, exact, strict=True)]
        write_shard(path, masks, pq.read_schema(path), mask_classes([path]))
    code, said = snakemake(changeable, "--", "through_masks")
    assert code == 0, said
    stage = changeable / RESULTS / "through_masks"
    metrics = json.loads((stage / "metrics.json").read_text())
    assert metrics.keys() == {"b2a"} and metrics["b2a"].keys() >= {"asked_miou", "no_face", "frechet_scaled"}
    assert {path.name for path in (stage / "b2a").glob("*.safetensors")} >= {"unet.safetensors", "gaugan.safetensors"}
    assert ids(stage / "b2a") == ids(changeable / RESULTS / "other")


def test_a_second_training_has_the_same_bytes_and_a_weight_of_masks_another(changeable):
    folder = changeable / RESULTS / "cyclegan/points"
    before = {path.relative_to(folder): sha256(path) for path in sorted(folder.rglob("*.safetensors"))}
    target = f"{RESULTS}/cyclegan/points/8/a2b.safetensors"
    code, said = snakemake(changeable, "--forcerun", "train_cyclegan", "--", target)
    assert code == 0, said
    assert {path.relative_to(folder): sha256(path) for path in sorted(folder.rglob("*.safetensors"))} == before
    jobs = planned(changeable, "--config", "cyclegan={mask_weight: 2}", "--", target)
    assert jobs == {"train_cyclegan": 1}


def test_cut_has_one_direction(changeable):
    config = ["cyclegan={method: cut}"]
    jobs = planned(changeable, "--config", *config, "--", "cyclegan")
    assert jobs["train_cyclegan"] == 1 and jobs["translate_portraits"] == 2
    shutil.rmtree(changeable / RESULTS / "cyclegan/b2a")
    for path in (changeable / RESULTS / "cyclegan").rglob("b2a.*"):
        path.unlink()
    code, said = snakemake(changeable, "--config", *config, "--", "cyclegan")
    assert code == 0, said
    stage = changeable / RESULTS / "cyclegan"
    assert json.loads((stage / "metrics.json").read_text()).keys() == {"a2b"} and not list(stage.rglob("b2a*"))
    assert model_settings(stage / "a2b.safetensors")["method"] == "cut"
    assert ids(stage / "a2b") == ids(changeable / RESULTS / "portraits")
    assert planned(changeable, "--config", *config, "--", "cyclegan") == {}


def test_another_run_is_the_other_collection_with_its_masks_and_networks(changeable):
    finished = changeable / RESULTS
    other = shutil.copytree(finished, changeable / "results/drawn", ignore=shutil.ignore_patterns("gaugan"))
    config = ["cyclegan={other: results/drawn, mask_weight: 2}"]
    jobs = planned(changeable, "--config", *config, "--", "cyclegan", "through_masks")
    assert jobs["take_other"] == 2 and jobs["learn_through_masks"] == 1 and "draw_other_hand" not in jobs
    (other / "gaugan").mkdir()
    for name in ("model", "style_encoder"):
        (other / f"gaugan/{name}.safetensors").touch()
    jobs = planned(changeable, "--config", *config, "--", "cyclegan", "through_masks")
    assert jobs["learn_through_masks"] == 2
    code, said = snakemake(changeable, "-n", "--printshellcmds", "--config", *config, "--", "cyclegan")
    [training] = [line for line in said.splitlines() if "scripts/train_cyclegan.py" in line]
    assert code == 0 and "--other-unet results/drawn/unet/v3/model.safetensors" in training
    assert "--other-run results/drawn" in training and "--paired" not in training
    [evaluation] = [line for line in said.splitlines() if "scripts/evaluate_cyclegan.py" in line]
    assert "--other-unet results/drawn/unet/v2/model.safetensors" in evaluation
    shutil.rmtree(other / "pseudo_labels")
    jobs = planned(changeable, "--config", "cyclegan={other: results/drawn}", "--", "cyclegan")
    assert jobs["take_other"] == 2


def test_a_folder_is_the_other_collection_and_without_any_one_line_says_so(changeable):
    images = str(next(iter((changeable / RESULTS / "source").glob("images*"))))
    jobs = planned(changeable, "--config", f"cyclegan={{other: {images}}}", "--", "cyclegan")
    assert jobs["crop_other"] == 2
    code, said = snakemake(changeable, "-n", "--config", f"cyclegan={{other: {images}}}", "--", "through_masks")
    assert code and f"cyclegan.other: found {images}; for portraits through masks accepted: the results" in said
    config = ["dataset=plain", "kind=folder", f"source={{images: {images}}}", "tags={sources: [tags]}"]
    config += ["filter={ratings: [], tags_all: [], tags_none: [], min_score: null, min_size: null}"]
    code, said = snakemake(changeable, "-n", "--config", *config, "--", "cyclegan")
    assert code and "cyclegan.other: found null; accepted: results/<dataset> of another run" in said
    assert "Traceback" not in said
