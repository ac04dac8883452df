"""Results shared through DVC and restored in other clones: the real DVC, a folder and an S3 server as remotes."""

import json
import os
import random
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from helpers.running import made_once, make_generated, planned
from helpers.sharing import call, clone_of, clone_with_remote, commit, new_repository
from PIL import Image

from facemill.files import sha256

CHANGE = {"attributes": {"eval_portraits": 3}}


def test_nothing_is_restored_where_nothing_was_shared(finished, tmp_path):
    project = shutil.copytree(finished, tmp_path / "facemill", ignore=shutil.ignore_patterns("results"))
    refused = call(project, "python", "scripts/restore.py", code=1)
    assert refused.startswith("restore.py: dvc.lock: not there")


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


@pytest.fixture(scope="session")
def shared(finished, tmp_path_factory) -> Path:
    """A repository whose results are shared to `../remote`, at its first commit."""

    def make(folder: Path) -> None:
        repository = new_repository(finished, folder / "first")
        assert "shared; commit dvc.lock" in call(repository, "python", "scripts/share.py")
        commit(repository)

    return made_once(tmp_path_factory, "shared", make) / "first"


@pytest.fixture
def fresh(shared, tmp_path) -> Path:
    """A fresh clone, with a copy of the remote beside it."""
    return clone_with_remote(shared, tmp_path)


@pytest.fixture(scope="session")
def restored(shared, tmp_path_factory) -> Path:
    """The folder of a clone, in which the results are restored, and of its remote."""

    def make(folder: Path) -> None:
        clone = clone_with_remote(shared, folder)
        assert planned(clone) != {}
        assert "nothing left to do" in call(clone, "python", "scripts/restore.py")

    return made_once(tmp_path_factory, "restored", make)


@pytest.fixture
def clone(restored, tmp_path) -> Path:
    """A copy of that clone, with one of the remote beside it."""
    return shutil.copytree(restored, tmp_path, dirs_exist_ok=True) / "clone"


def test_a_fresh_clone_restores_and_has_nothing_to_do(shared, clone):
    assert planned(clone) == {}
    for path in shared.glob("results/tiny/*/model.safetensors"):
        assert sha256(path) == sha256(clone / path.relative_to(shared))

    random.seed(0)
    for path in clone.rglob("*"):  # dates that any copy of a folder may give
        if not {".git", ".snakemake"} & set(path.parts):
            when = random.uniform(1e9, 1.7e9)
            os.utime(path, (when, when))
    assert planned(clone) == {}


def test_a_user_without_roots_rights_restores_too(fresh):
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("the test is run without root's rights, as all others then are")
    without = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", sys.executable]
    assert "nothing left to do" in call(fresh, *without, "scripts/restore.py")
    call(fresh, *without, "-m", "snakemake", "--cores", "1")
    change_settings(fresh, CHANGE)
    call(fresh, *without, "-m", "snakemake", "--cores", "1", "--", "results/tiny/attributes/metrics.json")


def test_a_changed_setting_reruns_its_dependents_alone_and_goes_to_another_clone(clone):
    other = shutil.copytree(clone, clone.with_name("other"))
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

    call(other, "python", "scripts/share.py")
    call(other, "git", "pull", "--quiet", str(clone))
    call(other, "python", "scripts/restore.py")
    assert planned(other) == {}

    call(clone, "git", "checkout", "--quiet", first)
    call(clone, "python", "scripts/restore.py")
    assert planned(clone) == {} and sha256(clone / "results/tiny/attributes/metrics.json") == before


def test_changed_code_is_seen_where_it_counts(clone):
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
        "gaugan: adversarial_g",
        "gaugan.png",
        "transitions.png",
    ):
        assert name in page, name


def test_one_product_can_be_pulled_alone(fresh):
    call(fresh, "dvc", "pull", "gaugan")
    made = {path.parent.name for path in fresh.rglob("results/**/*") if path.is_file()}
    assert made == {"gaugan"}
    masks = fresh / "masks"
    masks.mkdir()
    Image.new("P", (64, 64)).save(masks / "a.png")
    call(
        fresh,
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
    assert list((fresh / "painted").glob("a.*"))


def test_a_damaged_file_is_refused(fresh, tmp_path):
    lock = yaml.safe_load((fresh / "dvc.lock").read_text())
    files = tmp_path / "remote/files/md5"
    [folder] = [out["md5"] for out in lock["stages"]["unet"]["outs"]]
    listed = json.loads((files / folder[:2] / folder[2:]).read_text())
    md5 = next(entry["md5"] for entry in listed if entry["relpath"] == "comparison.png")
    remote, cached = (place / md5[:2] / md5[2:] for place in (files, fresh / ".dvc/cache/files/md5"))
    sound = remote.read_bytes()
    damage(remote)
    assert_refused(fresh)
    remote.unlink(missing_ok=True)
    remote.write_bytes(sound)
    call(fresh, "dvc", "fetch", "--quiet")
    damage(cached)
    assert_refused(fresh)
    call(fresh, "python", "scripts/restore.py")
    assert planned(fresh) == {}


def assert_refused(clone: Path) -> None:
    """The damaged picture is named, and nothing counts as restored."""
    refused = call(clone, "python", "scripts/restore.py", code=1)
    assert re.search(r"^restore.py: results/tiny/unet/comparison.png: damaged", refused, re.M)
    assert planned(clone) != {} and "Traceback" not in refused


def test_results_go_through_s3(clone, s3, tmp_path):
    call(clone, "dvc", "remote", "add", "s3", "s3://portraits/facemill")
    call(clone, "dvc", "remote", "modify", "s3", "endpointurl", s3)
    call(clone, "python", "scripts/share.py", "--remote", "s3")
    commit(clone)
    other = clone_of(clone, tmp_path / "other")
    shutil.rmtree(tmp_path / "remote")
    call(other, "python", "scripts/restore.py", "--remote", "s3")
    assert planned(other) == {}
