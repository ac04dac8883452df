"""The workflow as a module of another one: by its path, and from a Git host as snakedeploy deploys it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.running import new_project, planned, snakemake

from facemill.files import sha256

OTHER = """
configfile: "tiny.yaml"

module facemill:
    snakefile:
        {snakefile}
    config:
        config

use rule * from facemill

rule count_posts:
    input:
        "results/tiny/summary.json",
    output:
        "results/posts.txt",
    shell:
        "python -c 'import json, sys; print(json.load(open(sys.argv[1]))[\\"posts\\"])' {{input}} > {{output}}"
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    """A Git repository of the project with the tiny settings, at tag v1, in a folder that stands in for GitHub."""
    project = new_project(tmp_path_factory.mktemp("hosts") / "github/owner/facemill")
    git(project, "init", "--quiet", "--initial-branch", "main")
    git(project, "add", "--all")
    git(project, "-c", "user.name=Test", "-c", "user.email=test@example.org", "commit", "--quiet", "--message", "tiny")
    git(project, "tag", "v1")
    return project


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_another_workflow_runs_the_chain_as_a_module(finished, tmp_path):
    """It plans all jobs; on what the project itself has made it runs those whose products are gone."""
    (tmp_path / "Snakefile").write_text(OTHER.format(snakefile=repr(str(finished / "workflow/Snakefile"))))
    shutil.copy(finished / "config/config.yaml", tmp_path / "tiny.yaml")
    summary, report = "results/tiny/summary.json", "results/tiny/report.html"
    targets = ["--", "results/posts.txt", report]
    assert planned(tmp_path, *targets) == planned(finished, "--forceall", "--", summary, report) | {"count_posts": 1}

    for folder in ("results", ".snakemake/metadata"):
        shutil.copytree(finished / folder, tmp_path / folder, dirs_exist_ok=True)
    for product in ("unet/v1", "tsne"):
        shutil.rmtree(tmp_path / "results/tiny" / product)
    (tmp_path / "results/tiny/unet/comparison.json").unlink()
    left = planned(tmp_path, *targets)
    assert {"train_unet": 1, "compare_unets": 1, "plot_tsne": 1, "count_posts": 1}.items() <= left.items()
    assert not {"ingest_posts", "train_vae", "train_gaugan"} & left.keys()
    code, said = snakemake(tmp_path, *targets)
    assert code == 0, said
    assert int((tmp_path / "results/posts.txt").read_text()) >= 30
    model = "results/tiny/unet/v1/model.safetensors"
    assert sha256(tmp_path / model) == sha256(finished / model)
    code, said = snakemake(tmp_path, *targets)
    assert code == 0 and "Nothing to be done" in said


def test_snakedeploy_deploys_it_and_it_runs_by_its_tag(repository, tmp_path, monkeypatch):
    hosts = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.file://{repository.parents[1]}/.insteadOf"}
    for name, value in (hosts | {"GIT_CONFIG_VALUE_0": "https://github.com/"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    snakedeploy = Path(sys.executable).with_name("snakedeploy")
    deploy = [snakedeploy, "deploy-workflow", f"file://{repository}", str(tmp_path / "mine"), "--tag", "v1"]
    subprocess.run(deploy, check=True)
    declared = (tmp_path / "mine/workflow/Snakefile").read_text()
    assert 'github("owner/facemill", path="workflow/Snakefile", tag="v1")' in declared
    assert planned(tmp_path / "mine")["train_gaugan"] == 1

    code, said = snakemake(tmp_path / "mine", "--", "results/tiny/selected/funnel.png")
    assert code == 0, said
    assert (tmp_path / "mine/results/tiny/selected/funnel.png").exists()
    commit = git(repository, "rev-parse", "v1")
    assert (tmp_path / f"mine/.snakemake/facemill/{commit}/scripts/filter_posts.py").exists()
