"""One process for each GPU of a training; the devices are names only."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SAYS = """
import os
values = [os.environ.get(key) for key in ("LOCAL_RANK", "WORLD_SIZE", "CUDA_VISIBLE_DEVICES")]
os.write(1, " ".join(map(str, values)).encode() + b"\\n")  # in one piece, as two processes write
"""


@pytest.fixture
def launch(tmp_path):
    (tmp_path / "says.py").write_text(SAYS)

    def run(count: int, devices: str) -> subprocess.CompletedProcess:
        mine = {"CUDA_VISIBLE_DEVICES": devices, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "facemill.workflow.launch", str(count), "says.py"]
        return subprocess.run(command, cwd=tmp_path, env=os.environ | mine, capture_output=True, text=True)

    return run


def test_as_many_processes_as_gpus_share_them(launch):
    done = launch(2, "0,1,2")
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split("\n")) == ["", "0 2 0,1", "1 2 0,1"]


def test_without_gpus_or_with_one_the_script_runs_by_itself(launch):
    assert launch(2, "").stdout == "None None \n"
    assert launch(1, "4,5").stdout == "None None 4,5\n"  # it takes one of them itself


def test_more_gpus_than_there_are_is_one_line(launch):
    done = launch(3, "0,1")
    assert (
        done.returncode == 1 and done.stderr == "gpus: found 3; accepted: at most 2, which is what this job may use\n"
    )
