"""Doors that run no network import no torch."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "name", ["tag_portraits", "compare_tags", "plot_tsne", "attribute_vectors", "probe_latents", "plot_latents"]
)
def test_a_door_without_a_network_imports_no_torch(name):
    code = f"import sys, facemill.latent.{name}; print('torch' in sys.modules)"
    environment = {"PYTHONPATH": str(ROOT)}
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert process.stdout == "False\n", process.stderr
