"""Jobs of a workstation and its GPUs: who holds which, and when it is free again. The devices are names only."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from facemill.workflow.gpu_slots import gpus

ROOT = Path(__file__).parents[3]
JOB = """
import logging, os, sys, time
logging.basicConfig(level="INFO", format="%(message)s", stream=sys.stdout)
from facemill.workflow.gpu_slots import take_gpus
take_gpus()
print("has", os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
if len(sys.argv) > 1 and os.fork() == 0:
    os.close(1)
    time.sleep(60)
time.sleep(60)
"""


@pytest.fixture
def start(tmp_path):
    """Starts jobs that hold their GPU for a minute; ends them after the test."""
    jobs = []

    def start(devices: str, *arguments: str, **environment: str) -> subprocess.Popen:
        mine = {"CUDA_VISIBLE_DEVICES": devices, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"} | environment
        arguments = [sys.executable, "-c", JOB, *arguments]
        jobs.append(
            subprocess.Popen(
                arguments, env=os.environ | mine, stdout=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True
            )
        )
        return jobs[-1]

    yield start
    for job in jobs:
        os.killpg(job.pid, signal.SIGKILL)
        job.wait()


def device(job: subprocess.Popen) -> str:
    """The device that a job says it has; waits until it has one."""
    said = job.stdout.readline()
    while not said.startswith("has "):
        assert said, "the job ended without a GPU"
        said = job.stdout.readline()
    return said.split()[1]


def test_each_job_has_a_device_of_its_own(start):
    names = ["0", "GPU-b", "MIG-GPU-c/1/0"]
    assert sorted(device(job) for job in [start(",".join(names)) for _ in range(3)]) == names


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
def test_a_device_is_free_again_however_its_job_dies(start, number):
    first = start("7", "with a child")
    assert device(first) == "7"
    waiting = start("7")
    assert waiting.stdout.readline() == "waits for one of 1 GPUs\n"
    time.sleep(1.5)
    assert waiting.poll() is None
    os.kill(first.pid, number)  # its child lives on
    assert device(waiting) == "7"


def test_jobs_of_slurm_number_their_devices_on_their_own(start):
    assert [device(start("0", SLURM_JOB_ID=job)) for job in ("11", "12")] == ["0", "0"]


@pytest.mark.parametrize("none", ["", "-1", "NoDevFiles"])
def test_without_a_gpu_a_job_runs_at_once(start, none):
    job = start(none)
    assert job.stdout.readline().split() == ["has", *none.split()]


def test_gpus_are_what_nvidia_smi_lists(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus() == []
    listed = """GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-1)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-2)
  MIG 3g.20gb     Device  0: (UUID: MIG-3)
  MIG 3g.20gb     Device  1: (UUID: MIG-4)
GPU 2: NVIDIA A100-SXM4-40GB (UUID: GPU-5)
"""
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n[ $1 = -L ] && echo '{listed}'\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    assert gpus() == ["GPU-1", "MIG-3", "MIG-4", "GPU-5"]  # the second GPU is divided
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho No devices found.\n")
    assert gpus() == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-2, 0,-1,1")
    assert gpus() == ["GPU-2", "0"]


def test_rules_ask_for_a_gpu_where_their_doors_take_one(parsed):
    with_gpu = {name for name, rule in parsed.rules.items() if dict(rule.resources).get("gpu")}
    with_gpu -= {"train_fold", "train_token_fold"}  # trainings of a fold, by the doors of others
    doors = {path.stem for path in (ROOT / "scripts").glob("*.py") if "gpu=True" in path.read_text()}
    doors.remove("crop_other")  # a rule where `cyclegan.other` is a folder
    assert with_gpu == doors and "train_unet" in doors
