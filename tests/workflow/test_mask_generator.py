"""The stage `mask_generator` on the tiny config, and portraits painted on its masks."""

import json
import subprocess
import sys

import numpy as np
from helpers.running import planned
from PIL import Image

from facemill.data.classes import SEVEN
from facemill.data.shards import decode_mask


def test_the_stage_ends_with_a_model_figures_and_a_sheet(enough):
    stage = enough / "results/tiny/mask_generator"
    metrics = json.loads((stage / "metrics.json").read_text())
    figures = {"frechet_over_floor", "frechet_over_halves", "valid", "valid_real", "diversity_vs_real", "copying_z"}
    assert metrics.keys() >= figures | {"valid_over_real", "resegmentation_miou", "resegmentation_miou_real"}
    assert np.genfromtxt(stage / "curves.csv", delimiter=",", names=True)["images"][-1] == 64
    with Image.open(stage / "masks.png") as picture:
        assert min(picture.size) > 500
    assert planned(enough, "--", "mask_generator") == {}


def test_portraits_are_painted_on_its_masks(enough, tmp_path):
    command = [sys.executable, "scripts/generate_portraits.py", "--model", "results/tiny/gaugan"]
    words = ["--random", "3", "--seed", "7", "--out", str(tmp_path / "out")]
    done = subprocess.run([*command, *words], cwd=enough, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for seed in (7, 8, 9):
        name = f"seed-{seed:06}.png"
        with Image.open(tmp_path / "out" / name) as portrait:
            assert portrait.size == (64, 64)
        assert decode_mask((tmp_path / "out/masks" / name).read_bytes(), SEVEN).shape == (64, 64)
