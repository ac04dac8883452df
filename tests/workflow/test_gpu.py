"""`benchmarks/gpu.py --dry` as a user runs it: all checks at tiny sizes, on the CPU."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.running import ROOT
from PIL import Image


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    """The folder of a run's results."""
    folder = tmp_path_factory.mktemp("gpu")
    command = [sys.executable, "benchmarks/gpu.py", "--dry", "--out", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_check_passes(out):
    results = json.loads((out / "gpu.json").read_text(), parse_constant=pytest.fail)
    checks = results["checks"]
    assert {check["group"] for check in checks} == {"correctness", "resume", "speed", "chain"}
    for check in checks:
        assert check["state"] == "passed" and check["figures"] and not check["missed"], check
        assert isinstance(check["seconds"], float)
    assert results["dry"] and results["machine"]["torch"]


def test_each_training_is_resumed_and_timed(out):
    checks = json.loads((out / "gpu.json").read_text())["checks"]
    names = {group: {check["check"] for check in checks if check["group"] == group} for group in ("resume", "speed")}
    trainings = {"unet_v1", "unet_v2", "unet_v3", "self_train_unet", "vae", "gaugan"}
    assert trainings <= names["resume"] and {f"training_{name}" for name in trainings} <= names["speed"]


def test_pictures_lie_beside_the_figures(out):
    pictures = [path for path in out.rglob("*") if path.suffix != ".json"]
    assert pictures
    for path in pictures:
        with Image.open(path) as picture:
            picture.load()
            assert picture.format == "PNG" and min(picture.size) >= 64
