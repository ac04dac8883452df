"""A dataset of one's own, beside the first, shared through DVC and restored in other clones with its files."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from helpers.running import made_once, make_generated, planned, snakemake
from helpers.sharing import call, clone_of, clone_with_remote, commit, new_repository

from facemill.files import sha256

OVERLAY = {"dataset": "mine", "kind": "danbooru", "tags": {"sources": ["tags"]}, "attributes": {"preserve": []}}
SAVED = ["--configfile", "results/mine/config.yaml"]


@pytest.fixture(scope="session")
def mine(finished, tmp_path_factory) -> Path:
    """A repository in which a dataset of one's own, whose files git ignores, was run with an overlay and options beside
    the first; both are shared to `../remote`, at the first commit."""

    def make(folder: Path) -> None:
        repository = new_repository(finished, folder / "first")
        shutil.copytree(repository / "results/tiny/source/images", repository / "collection/images")
        shutil.copy(repository / "results/tiny/source/metadata.jsonl", repository / "collection/posts.jsonl")
        (repository / "mine.yaml").write_text(yaml.safe_dump(OVERLAY))
        (repository / ".gitignore").write_text((repository / ".gitignore").read_text() + "/collection/\n/mine.yaml\n")
        source = "source={images: collection/images, metadata: [collection/posts.jsonl]}"
        code, said = snakemake(repository, "--configfile", "mine.yaml", "--config", source, "seed=3")
        assert code == 0, said
        said = call(repository, "python", "scripts/share.py", "mine", "--with-sources")
        assert "shared; commit datasets/mine to git" in said
        assert "shared; commit dvc.lock to git" in call(repository, "python", "scripts/share.py")
        commit(repository)

    return made_once(tmp_path_factory, "mine", make) / "first"


@pytest.fixture
def clone(mine, tmp_path) -> Path:
    return clone_with_remote(mine, tmp_path)


def test_a_dataset_of_ones_own_is_restored_with_its_files_and_settings(mine, clone):
    assert "nothing left to do" in call(clone, "python", "scripts/restore.py", "mine")
    assert not (clone / "results/tiny").exists()
    assert planned(clone, *SAVED) == {}
    settings = yaml.safe_load((clone / "results/mine/config.yaml").read_text())
    assert settings["seed"] == 3 and settings["source"]["images"] == "collection/images"
    for name in ("collection/images", "results/mine"):
        files = [path for path in (mine / name).rglob("*") if path.is_file() and not path.name.startswith(".")]
        paths = [path.relative_to(mine) for path in files]
        assert paths and all(sha256(mine / path) == sha256(clone / path) for path in paths)
    assert "nothing left to do" in call(clone, "python", "scripts/restore.py")
    assert planned(clone) == {} and planned(clone, *SAVED) == {}
    shown = json.loads(call(clone, "dvc", "metrics", "show", "--json").splitlines()[-1])
    assert {"results/tiny/summary.json", "results/mine/summary.json"} <= shown[""]["data"].keys()

    posts = "results/mine/posts/posts.parquet"
    code, said = snakemake(clone, *SAVED, "--forcerun", "ingest_posts", "--", posts)  # reads the files put back
    assert code == 0 and sha256(clone / posts) == sha256(mine / posts), said


def test_results_on_scratch_go_through_s3_and_keep_what_a_changed_setting_did(clone, s3, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (clone / "results").symlink_to(scratch)
    call(clone, "python", "scripts/restore.py", "mine")
    assert planned(clone, *SAVED) == {}
    change = ["--config", "attributes={steps: 4}"]
    jobs = planned(clone, *SAVED, *change)
    last = {"summarize", "report", "describe_dataset", "list_materials", "all"}
    assert "walk_latents" in jobs and jobs.keys() <= {"evaluate_attributes", "walk_latents"} | last
    code, said = snakemake(clone, *SAVED, *change)
    assert code == 0, said
    call(clone, "dvc", "remote", "add", "s3", "s3://portraits/facemill")
    call(clone, "dvc", "remote", "modify", "s3", "endpointurl", s3)
    call(clone, "python", "scripts/share.py", "mine", "--remote", "s3", "--with-sources")
    assert "attributes.steps" in call(clone, "dvc", "params", "diff")
    commit(clone)
    assert "results" not in call(clone, "git", "ls-files").split()
    third = clone_of(clone, tmp_path / "third")
    shutil.rmtree(tmp_path / "remote")
    call(third, "python", "scripts/restore.py", "mine", "--remote", "s3")
    assert planned(third, *SAVED) == {} and planned(third, *SAVED, "--config", "attributes={steps: 3}") == jobs


def test_what_does_not_match_is_refused_and_named(mine, clone):
    refused = call(clone, "python", "scripts/share.py", "nobodys", code=1)
    assert "share.py: results/nobodys/config.yaml: not there; accepted: a dataset that Snakemake has made (" in refused
    refused = call(clone, "python", "scripts/restore.py", "nobodys", code=1)
    assert "datasets/nobodys/dvc.lock: not there" in refused and "one of the datasets mine" in refused

    call(clone, "python", "scripts/restore.py", "mine")
    (clone / "collection/images").unlink()
    shutil.copytree(mine / "collection/images", clone / "collection/images")
    next((clone / "collection/images").rglob("*.png")).unlink()
    refused = call(clone, "python", "scripts/restore.py", "mine", code=1)
    assert "Snakemake cannot go on" in refused and "source.images: " in refused and "Traceback" not in refused

    code, said = snakemake(clone, *SAVED, "--config", "seed=4", "--", "results/mine/selected/selected.parquet")
    assert code == 0, said
    refused = call(clone, "python", "scripts/share.py", "mine", code=1)
    assert re.search(r"^share.py: results: not up to date \(.*train_vae", refused, re.M)


def test_changed_settings_and_code_of_ones_own_dataset_are_refused(clone):
    settings = clone / "datasets/mine/config.yaml"
    settings.write_text(settings.read_text().replace("eval_portraits: 4", "eval_portraits: 5"))
    refused = call(clone, "python", "scripts/restore.py", "mine", code=1)
    assert re.search(r"^restore.py: results: not what .*attributes: attributes.eval_portraits", refused, re.M)
    call(clone, "git", "checkout", "--quiet", "datasets/mine/config.yaml")
    module = clone / "facemill/latent/plot_tsne.py"
    module.write_text(module.read_text().replace("PERPLEXITY = 30", "PERPLEXITY = 20"))
    refused = call(clone, "python", "scripts/restore.py", "mine", code=1)
    assert re.search(r"^restore.py: code.json: not that of these rules \(.*plot_tsne", refused, re.M)
    make_generated(clone)
    refused = call(clone, "python", "scripts/restore.py", "mine", code=1)
    assert re.search(r"^restore.py: results: not what .*tsne: plot_tsne", refused, re.M)
