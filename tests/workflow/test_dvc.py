"""Results shared through DVC and restored in other clones: the real DVC, a folder and an S3 server as remotes."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import yaml
from helpers.running import ROOT, make_generated, planned, snakemake, wait_for

from facemill.files import sha256

WHO = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
CHANGE = {"attributes": {"eval_portraits": 3}}


def call(clone: Path, *command: str, code: int = 0) -> str:
    """What a command says in a clone; `dvc` and scripts are those of this Python."""
    python = {"dvc": [sys.executable, "-m", "dvc"], "python": [sys.executable]}.get(command[0], [command[0]])
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "GIT_PAGER": ""}
    environment |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    environment["PYTHONPATH"] = str(clone)  # the clone's own library
    done = subprocess.run(
        [*python, *command[1:]], cwd=clone, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def commit(clone: Path) -> str:
    """Commits everything to git; the commit's id."""
    call(clone, "git", "add", "--all")
    call(clone, "git", *WHO, "commit", "--quiet", "--message", "results")
    return call(clone, "git", "rev-parse", "HEAD").strip()


def test_nothing_is_restored_where_nothing_was_shared(finished, tmp_path):
    project = shutil.copytree(finished, tmp_path / "facemill", ignore=shutil.ignore_patterns("results"))
    refused = call(project, "python", "scripts/restore.py", code=1)
    assert refused.startswith("restore.py: dvc.lock: not there")


def clone_of(repository: Path, folder: Path) -> Path:
    call(folder.parent, "git", "clone", "--quiet", str(repository), str(folder))
    return folder


def change_settings(clone: Path, change: dict) -> None:
    settings = yaml.safe_load((clone / "config/config.yaml").read_text())
    for section, keys in change.items():
        settings[section] |= keys
    (clone / "config/config.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))


def damage(path: Path) -> None:
    """Another byte in the middle of a file; it stays write-protected, which is why DVC trusts it."""
    mode = path.stat().st_mode
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    path.chmod(mode)


@pytest.fixture(scope="module")
def shared(finished, tmp_path_factory) -> Path:
    """A repository whose results are shared to `../remote`, at its first commit."""
    repository = tmp_path_factory.mktemp("dvc") / "first"
    shutil.copytree(finished, repository)
    shutil.copytree(ROOT / ".dvc", repository / ".dvc", ignore=lambda *_: {"tmp", "cache", "config.local"})
    call(repository, "git", "init", "--quiet")
    call(repository, "dvc", "remote", "add", "--default", "folder", "../remote")
    said = call(repository, "python", "scripts/share.py")
    assert "shared; commit dvc.lock" in said
    commit(repository)
    return repository


@pytest.fixture
def clone(shared, tmp_path) -> Path:
    """A fresh clone of the shared repository, with the remote where it can be changed."""
    shutil.copytree(shared.parent / "remote", tmp_path / "remote")
    return clone_of(shared, tmp_path / "clone")


def test_a_fresh_clone_restores_and_has_nothing_to_do(shared, clone):
    assert planned(clone) != {}
    assert "nothing left to do" in call(clone, "python", "scripts/restore.py")
    assert planned(clone) == {}
    for path in shared.glob("results/tiny/*/model.safetensors"):
        assert sha256(path) == sha256(clone / path.relative_to(shared))

    random.seed(0)
    for path in clone.rglob("*"):  # dates that any copy of a folder may give
        if not {".git", ".snakemake"} & set(path.parts):
            when = random.uniform(1e9, 1.7e9)
            os.utime(path, (when, when))
    assert planned(clone) == {}


def test_a_user_without_roots_rights_restores_too(clone):
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("the test is run without root's rights, as all others then are")
    without = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", sys.executable]
    assert "nothing left to do" in call(clone, *without, "scripts/restore.py")
    call(clone, *without, "-m", "snakemake", "--cores", "1")
    change_settings(clone, CHANGE)
    call(clone, *without, "-m", "snakemake", "--cores", "1", "--", "results/tiny/attributes/metrics.json")


def test_a_changed_setting_reruns_its_dependents_alone(clone):
    call(clone, "python", "scripts/restore.py")
    first = call(clone, "git", "rev-parse", "HEAD").strip()
    before = sha256(clone / "results/tiny/attributes/metrics.json")
    change_settings(clone, CHANGE)
    last = ["list_materials", "summarize", "describe_dataset", "report"]
    assert planned(clone) == dict.fromkeys(["evaluate_attributes", *last, "all"], 1)
    refused = call(clone, "python", "scripts/share.py", code=1)
    assert refused.startswith(f"share.py: results: not up to date (1 evaluate_attributes, 1 {', 1 '.join(last)});")
    refused = call(clone, "python", "scripts/restore.py", code=1)
    assert (
        re.search(r"not what these settings and this code make \(.*attributes: attributes\.eval_portraits", refused)
        and "Traceback" not in refused
    )

    said = call(clone, "dvc", "repro")
    ran = set(re.findall(r"^Running stage '(\w+)':", said, re.M))
    assert ran == {"attributes", "bom", "summary", "README", "report"}
    assert planned(clone) == {}
    for what in ("metrics", "params"):
        rows = json.loads(call(clone, "dvc", what, "diff", "--json"))
        assert rows, what
    assert "attributes.eval_portraits" in call(clone, "dvc", "params", "diff")
    assert call(clone, "python", "scripts/share.py")
    commit(clone)

    call(clone, "git", "checkout", "--quiet", first)
    call(clone, "python", "scripts/restore.py")
    assert planned(clone) == {} and sha256(clone / "results/tiny/attributes/metrics.json") == before


def test_changed_code_is_seen_where_it_counts(clone):
    call(clone, "python", "scripts/restore.py")
    module = clone / "facemill/latent/plot_tsne.py"
    plain = module.read_text()
    for source in [*(clone / "facemill").rglob("*.py"), *(clone / "scripts").glob("*.py")]:
        source.write_text(f'"""Another docstring."""\n{source.read_text()}\n# changed\n')
    make_generated(clone)
    assert "up to date" in call(clone, "dvc", "status")
    assert "nothing left to do" in call(clone, "python", "scripts/restore.py")

    module.write_text(plain.replace("PERPLEXITY = 30", "PERPLEXITY = 20"))
    refused = call(clone, "python", "scripts/restore.py", code=1)
    assert re.search(r"^restore.py: code.json: not that of .*; run `make generated`$", refused, re.M)
    make_generated(clone)
    status = json.loads(call(clone, "dvc", "status", "--json").splitlines()[-1])
    assert status.keys() == {"tsne", "bom"} and "plot_tsne" in json.dumps(status["tsne"])  # the bill lists all code


def test_two_clones_share_to_one_remote(shared, clone, tmp_path):
    call(clone, "python", "scripts/restore.py")
    change_settings(clone, {"attributes": {"eval_portraits": 2}})
    call(clone, "python", "-m", "snakemake", "--cores", "2")
    call(clone, "python", "scripts/share.py")
    commit(clone)
    other = clone_of(shared, tmp_path / "other")
    call(other, "python", "scripts/restore.py")
    call(other, "python", "scripts/share.py")
    call(other, "git", "pull", "--quiet", str(clone))
    call(other, "python", "scripts/restore.py")
    assert planned(other) == {}


def test_metrics_and_plots_show_the_figures(shared, tmp_path):
    shown = json.loads(call(shared, "dvc", "metrics", "show", "--json"))
    numbers = shown[""]["data"]["results/tiny/summary.json"]["data"]
    assert {"unet", "gaugan", "attributes"} <= numbers.keys()
    call(shared, "dvc", "plots", "show", "--out", str(tmp_path / "plots"))
    page = (tmp_path / "plots/index.html").read_text()
    for name in (
        "unet: loss",
        "unet: validation_miou",
        "vae: reconstruction_l1",
        "gaugan: hinge_g",
        "gaugan.png",
        "transitions.png",
    ):
        assert name in page, name


def test_one_product_can_be_pulled_alone(clone):
    call(clone, "dvc", "pull", "gaugan")
    made = {path.parent.name for path in clone.rglob("results/**/*") if path.is_file()}
    assert made == {"gaugan"}
    masks = clone / "masks"
    masks.mkdir()
    from PIL import Image

    Image.new("P", (64, 64)).save(masks / "a.png")
    call(
        clone,
        "python",
        "scripts/generate_portraits.py",
        "--model",
        "results/tiny/gaugan",
        "--masks",
        "masks",
        "--seed",
        "7",
        "--out",
        "painted",
    )
    assert list((clone / "painted").glob("a.*"))


@pytest.mark.parametrize("place", ["the remote", "the cache"])
def test_a_damaged_file_is_refused(clone, tmp_path, place):
    lock = yaml.safe_load((clone / "dvc.lock").read_text())
    files = tmp_path / "remote/files/md5"
    [folder] = [out["md5"] for out in lock["stages"]["unet"]["outs"]]
    listed = json.loads((files / folder[:2] / folder[2:]).read_text())
    md5 = next(entry["md5"] for entry in listed if entry["relpath"] == "comparison.png")
    remote = files / md5[:2] / md5[2:]
    cached = clone / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    if place == "the cache":
        call(clone, "dvc", "fetch", "--quiet")
        damage(cached)
    else:
        sound = remote.read_bytes()
        damage(remote)
    refused = call(clone, "python", "scripts/restore.py", code=1)
    assert re.search(r"^restore.py: results/tiny/unet/comparison.png: damaged", refused, re.M)
    assert planned(clone) != {} and "Traceback" not in refused
    if place == "the remote":
        remote.unlink(missing_ok=True)
        remote.write_bytes(sound)
    call(clone, "python", "scripts/restore.py")
    assert planned(clone) == {}


@pytest.fixture
def s3(tmp_path):
    """The address of an S3 server, moto's, with one empty bucket."""
    log = (tmp_path / "moto.log").open("w")
    server = subprocess.Popen([sys.executable, "-m", "moto.server", "--port", "0"], stdout=log, stderr=log)
    address = []

    def listens() -> bool:
        address[:] = re.findall(r"http://127\.0\.0\.1:\d+", (tmp_path / "moto.log").read_text())
        return bool(address)

    wait_for(listens)
    urllib.request.urlopen(urllib.request.Request(f"{address[0]}/portraits", method="PUT"))
    yield address[0]
    server.terminate()
    server.wait()


def test_results_go_through_s3(shared, clone, s3, tmp_path):
    call(clone, "python", "scripts/restore.py")
    call(clone, "dvc", "remote", "add", "s3", "s3://portraits/facemill")
    call(clone, "dvc", "remote", "modify", "s3", "endpointurl", s3)
    call(clone, "python", "scripts/share.py", "--remote", "s3")
    commit(clone)
    other = clone_of(clone, tmp_path / "other")
    shutil.rmtree(tmp_path / "remote")
    call(other, "python", "scripts/restore.py", "--remote", "s3")
    assert planned(other) == {}


OVERLAY = {"dataset": "mine", "kind": "danbooru", "tags": {"sources": ["tags"]}, "attributes": {"preserve": []}}
SAVED = ["--configfile", "results/mine/config.yaml"]


@pytest.fixture(scope="module")
def mine(finished, tmp_path_factory) -> Path:
    """A repository in which a dataset of one's own, whose files git ignores, was run with an overlay and options beside
    the first; both are shared to `../remote`, at the first commit."""
    repository = tmp_path_factory.mktemp("mine") / "first"
    shutil.copytree(finished, repository)
    shutil.copytree(ROOT / ".dvc", repository / ".dvc", ignore=lambda *_: {"tmp", "cache", "config.local"})
    shutil.copytree(repository / "results/tiny/source/images", repository / "collection/images")
    shutil.copy(repository / "results/tiny/source/metadata.jsonl", repository / "collection/posts.jsonl")
    (repository / "mine.yaml").write_text(yaml.safe_dump(OVERLAY))
    source = "source={images: collection/images, metadata: [collection/posts.jsonl]}"
    code, said = snakemake(repository, "--configfile", "mine.yaml", "--config", source, "seed=3")
    assert code == 0, said
    call(repository, "git", "init", "--quiet")
    (repository / ".gitignore").write_text((repository / ".gitignore").read_text() + "/collection/\n/mine.yaml\n")
    call(repository, "dvc", "remote", "add", "--default", "folder", "../remote")
    assert "shared; commit datasets/mine to git" in call(
        repository, "python", "scripts/share.py", "mine", "--with-sources"
    )
    assert "shared; commit dvc.lock to git" in call(repository, "python", "scripts/share.py")
    commit(repository)
    return repository


@pytest.fixture
def other(mine, tmp_path) -> Path:
    """A fresh clone of that repository, with the remote where it can be changed."""
    shutil.copytree(mine.parent / "remote", tmp_path / "remote")
    return clone_of(mine, tmp_path / "clone")


def test_a_dataset_of_ones_own_is_restored_with_its_files_and_settings(mine, other):
    assert "nothing left to do" in call(other, "python", "scripts/restore.py", "mine")
    assert not (other / "results/tiny").exists()
    assert planned(other, *SAVED) == {}
    settings = yaml.safe_load((other / "results/mine/config.yaml").read_text())
    assert settings["seed"] == 3 and settings["source"]["images"] == "collection/images"
    for name in ("collection/images", "results/mine"):
        files = [path for path in (mine / name).rglob("*") if path.is_file() and not path.name.startswith(".")]
        paths = [path.relative_to(mine) for path in files]
        assert paths and all(sha256(mine / path) == sha256(other / path) for path in paths)
    assert "nothing left to do" in call(other, "python", "scripts/restore.py")
    assert planned(other) == {} and planned(other, *SAVED) == {}
    shown = json.loads(call(other, "dvc", "metrics", "show", "--json").splitlines()[-1])
    assert {"results/tiny/summary.json", "results/mine/summary.json"} <= shown[""]["data"].keys()

    posts = "results/mine/posts/posts.parquet"
    code, said = snakemake(other, *SAVED, "--forcerun", "ingest_posts", "--", posts)  # reads the files put back
    assert code == 0 and sha256(other / posts) == sha256(mine / posts), said


def test_results_on_scratch_go_through_s3_and_keep_what_a_changed_setting_did(other, s3, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (other / "results").symlink_to(scratch)
    call(other, "python", "scripts/restore.py", "mine")
    assert planned(other, *SAVED) == {}
    change = ["--config", "attributes={steps: 4}"]
    jobs = planned(other, *SAVED, *change)
    assert jobs.keys() <= {
        "evaluate_attributes",
        "walk_latents",
        "summarize",
        "report",
        "describe_dataset",
        "list_materials",
        "all",
    }
    code, said = snakemake(other, *SAVED, *change)
    assert code == 0, said
    call(other, "dvc", "remote", "add", "s3", "s3://portraits/facemill")
    call(other, "dvc", "remote", "modify", "s3", "endpointurl", s3)
    call(other, "python", "scripts/share.py", "mine", "--remote", "s3", "--with-sources")
    assert "attributes.steps" in call(other, "dvc", "params", "diff")
    commit(other)
    assert "results" not in call(other, "git", "ls-files").split()
    third = clone_of(other, tmp_path / "third")
    shutil.rmtree(tmp_path / "remote")
    call(third, "python", "scripts/restore.py", "mine", "--remote", "s3")
    assert planned(third, *SAVED) == {} and planned(third, *SAVED, "--config", "attributes={steps: 3}") == jobs


def test_what_does_not_match_is_refused_and_named(mine, other):
    refused = call(other, "python", "scripts/share.py", "nobodys", code=1)
    assert "share.py: results/nobodys/config.yaml: not there; accepted: a dataset that Snakemake has made (" in refused
    refused = call(other, "python", "scripts/restore.py", "nobodys", code=1)
    assert "datasets/nobodys/dvc.lock: not there" in refused and "one of the datasets mine" in refused

    call(other, "python", "scripts/restore.py", "mine")
    (other / "collection/images").unlink()
    shutil.copytree(mine / "collection/images", other / "collection/images")
    next((other / "collection/images").rglob("*.png")).unlink()
    refused = call(other, "python", "scripts/restore.py", "mine", code=1)
    assert "Snakemake cannot go on" in refused and "source.images: " in refused and "Traceback" not in refused

    code, said = snakemake(other, *SAVED, "--config", "seed=4", "--", "results/mine/selected/selected.parquet")
    assert code == 0, said
    refused = call(other, "python", "scripts/share.py", "mine", code=1)
    assert re.search(r"^share.py: results: not up to date \(.*train_vae", refused, re.M)


def test_changed_settings_and_code_of_ones_own_dataset_are_refused(other):
    settings = other / "datasets/mine/config.yaml"
    settings.write_text(settings.read_text().replace("eval_portraits: 4", "eval_portraits: 5"))
    refused = call(other, "python", "scripts/restore.py", "mine", code=1)
    assert re.search(r"^restore.py: results: not what .*attributes: attributes.eval_portraits", refused, re.M)
    call(other, "git", "checkout", "--quiet", "datasets/mine/config.yaml")
    module = other / "facemill/latent/plot_tsne.py"
    module.write_text(module.read_text().replace("PERPLEXITY = 30", "PERPLEXITY = 20"))
    refused = call(other, "python", "scripts/restore.py", "mine", code=1)
    assert re.search(r"^restore.py: code.json: not that of these rules \(.*plot_tsne", refused, re.M)
    make_generated(other)
    refused = call(other, "python", "scripts/restore.py", "mine", code=1)
    assert re.search(r"^restore.py: results: not what .*tsne: plot_tsne", refused, re.M)
