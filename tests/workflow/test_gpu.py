"""`benchmarks/gpu.py --dry` as a user runs it: all checks at tiny sizes, on the CPU."""

import json
import subprocess
import sys

import pytest
from helpers.running import ROOT
from PIL import Image

TRAININGS = ("unet_v1", "unet_v2", "unet_v3", "self_train_unet", "vae", "gaugan")


def test_all_checks_pass_on_the_cpu(tmp_path):
    command = [sys.executable, "benchmarks/gpu.py", "--dry", "--minutes", "30", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr

    results = json.loads((tmp_path / "gpu.json").read_text(), parse_constant=pytest.fail)
    checks = {(check["group"], check["check"]): check for check in results["checks"]}
    assert {group for group, _ in checks} == {"correctness", "resume", "speed", "chain"}
    for check in checks.values():
        assert check["state"] == "passed" and check["figures"] and not check["missed"], check
    for name in TRAININGS:
        assert ("resume", name) in checks and ("speed", f"training_{name}") in checks

    pictures = [path for path in tmp_path.rglob("*") if path.suffix != ".json"]
    assert {"unet_v3.png", "pseudo_labels.png", "vae.png", "gaugan.png"} <= {path.name for path in pictures}
    for path in pictures:
        with Image.open(path) as picture:
            picture.load()
            assert picture.format == "PNG" and min(picture.size) >= 64
