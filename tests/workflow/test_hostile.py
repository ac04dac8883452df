"""Hostile names through the real Snakefile, and what its Pythons unpickle."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import yaml
from helpers.running import ROOT, merged, new_project, snakemake

HOSTILE = "a b; touch hacked & $(touch hacked) `touch hacked` 'x' \"y\" \\  * ~ #"
FILTER = "filter={ratings: [], min_score: null, tags_all: []}"  # a folder carries no ratings, scores or tags


def test_a_whole_run_unpickles_nothing(finished):
    """Every Python of the run noted what a pickle names; one that unpickles shows that it would have."""
    noted = finished / "audit"
    if noted.exists():
        assert noted.read_text() == ""
    (finished / "sitecustomize.py").write_text((finished / "audit.py").read_text())
    code = "import fractions, pickle; pickle.loads(pickle.dumps(fractions.Fraction(1)))"
    environment = os.environ | {"PYTHONPATH": str(finished), "FACEMILL_AUDIT": str(noted)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    (finished / "sitecustomize.py").unlink()
    assert "Fraction" in noted.read_text()
    noted.unlink()


def test_names_of_folders_and_labels_reach_no_shell(finished, tmp_path):
    project = new_project(tmp_path / "facemill")
    images, labelled = project / HOSTILE / "images", project / HOSTILE / "labelled"
    shutil.copytree(finished / "results/tiny/source/images", images)
    shutil.copytree(finished / "results/tiny/source/labelled", labelled)
    overlay = yaml.safe_load((ROOT / "config/folder.yaml").read_text()) | {"dataset": "hostile"}
    overlay["source"] = {"images": str(images), "labelled": str(labelled)}
    overlay["labels"] = {"ignore": [HOSTILE]}
    overlay["tags"] = {"hair_colors": {HOSTILE: ["#000000"]}}
    settings = merged(yaml.safe_load((project / "config/config.yaml").read_text()), overlay)
    settings["unet"]["encoder_weights"] = None
    (project / "config/config.yaml").write_text(yaml.safe_dump(settings))
    code, said = snakemake(project, "--", "portraits", "results/hostile/labels/labels.png")
    assert code == 0, said
    assert len(list((project / "results/hostile/portraits").glob("shard-*.parquet"))) == 2
    assert not list(project.rglob("hacked"))


def test_a_folder_with_braces_is_refused_in_one_line(finished, tmp_path):
    labelled = tmp_path / "{input}"
    labelled.mkdir()
    source = json.dumps({"images": str(labelled), "labelled": str(labelled)})
    code, said = snakemake(finished, "-n", "--config", "dataset=mine", "kind=folder", FILTER, f"source={source}")
    [line] = [line for line in said.splitlines() if line.startswith("config: ")]
    assert code == 1 and "{input}" in line and line.endswith("a path without braces, Snakemake's sign for wildcards")


@pytest.mark.parametrize("dataset", ["../up", "a b", "a;touch hacked", "$(touch hacked)", "-n", ""])
def test_a_dataset_is_a_plain_name(finished, dataset):
    code, said = snakemake(finished, "-n", "--config", f"dataset={dataset}")
    assert code != 0 and not (finished / "hacked").exists()
    assert "config: dataset: found" in said or not dataset, said
