"""The workflow as a module of another one: by path, from a Git repository, deployed by snakedeploy."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from helpers.running import make_generated, new_project, snakemake

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
    """A Git repository of the project with the tiny settings."""
    project = new_project(tmp_path_factory.mktemp("repository") / "facemill")
    make_generated(project)
    git(project, "init", "--quiet", "--initial-branch", "main")
    git(project, "add", "--all")
    git(project, "-c", "user.name=Test", "-c", "user.email=test@example.org", "commit", "--quiet", "--message", "tiny")
    return project


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def other_workflow(folder: Path, repository: Path, snakefile: str) -> Path:
    (folder / "Snakefile").write_text(OTHER.format(snakefile=snakefile))
    (folder / "tiny.yaml").write_text((repository / "config/config.yaml").read_text())
    return folder


def test_another_workflow_runs_the_chain_as_a_module(repository, tmp_path):
    folder = other_workflow(tmp_path, repository, repr(str(repository / "workflow/Snakefile")))
    code, said = snakemake(folder, "--", "results/posts.txt", "results/tiny/report.html")
    assert code == 0, said
    assert int((folder / "results/posts.txt").read_text()) >= 30
    code, said = snakemake(folder, "--", "results/posts.txt", "results/tiny/report.html")
    assert code == 0 and "Nothing to be done" in said


def test_a_module_from_a_git_repository_brings_library_and_scripts(repository, tmp_path):
    commit = git(repository, "rev-parse", "HEAD")
    source = f'gitfile("{repository}", path="workflow/Snakefile", ref="{commit}")'
    folder = other_workflow(tmp_path, repository, source)
    code, said = snakemake(folder, "--", "results/tiny/selected/selected.parquet")
    assert code == 0, said
    assert (folder / f".snakemake/facemill/{commit}/scripts/filter_posts.py").exists()


def test_snakedeploy_deploys_it(repository, tmp_path):
    deploy = [sys.executable, "-m", "snakedeploy", "deploy-workflow", str(repository), str(tmp_path / "mine")]
    subprocess.run([*deploy, "--branch", "main"], check=True)
    snakefile = tmp_path / "mine/workflow/Snakefile"
    declared = snakefile.read_text()
    assert '"workflow/Snakefile"' in declared  # of a repository on GitHub: github("OWNER/facemill", path=...)
    snakefile.write_text(declared.replace('"workflow/Snakefile"', repr(str(repository / "workflow/Snakefile"))))
    assert yaml.safe_load((tmp_path / "mine/config/config.yaml").read_text())["dataset"] == "tiny"
    code, said = snakemake(tmp_path / "mine", "--", "results/tiny/selected/funnel.png")
    assert code == 0, said
    assert (tmp_path / "mine/results/tiny/selected/funnel.png").exists()
