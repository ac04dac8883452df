"""A Slurm cluster of one node, and the workflow run on it with `profiles/slurm`."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

CLUSTER = Path(__file__).with_name("cluster.sh")
SNAKEMAKE = Path(__file__).with_name("quick_snakemake.py")
QUICK = [  # what the test cluster lacks (accounts), and waits that would only cost time on it
    "--slurm-no-account",
    "--slurm-status-command=squeue",
    "--slurm-init-seconds-before-status-checks=1",
    "--latency-wait=20",
    "--max-threads=1",
]


@pytest.fixture(scope="session", autouse=True)
def cluster(tmp_path_factory) -> Path:
    """The cluster, started; skips the tests with the reason where it cannot be."""
    folder = tmp_path_factory.mktemp("slurm")
    started = subprocess.run([CLUSTER, "start", folder], stderr=subprocess.PIPE, text=True)
    if started.returncode:
        pytest.skip(f"Slurm cannot run here: {started.stderr.strip().splitlines()[-1]}")
    yield folder
    subprocess.run([CLUSTER, "stop"], check=True)


@pytest.fixture
def on_slurm() -> Callable[..., list[str]]:
    """The command that runs the workflow on the cluster."""
    profile = ["--workflow-profile", "profiles/slurm"]
    return lambda *arguments: [sys.executable, str(SNAKEMAKE), *profile, *QUICK, *arguments]
