"""The runner of `benchmarks/gpu.py`, with tiny checks of all kinds in the place of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
CHECKS = {
    "correctness": """
import os, sys, torch
from gpu_checks import check

def raises(context, report):
    report.figure("before", 1)
    raise ValueError("no such luck")

def exits(context, report):
    sys.exit(0)

def kills_itself(context, report):
    os.kill(os.getpid(), 9)

def ends_silently(context, report):
    os._exit(0)

def breaks_the_gpu(context, report):
    def fault():
        raise RuntimeError("CUDA error")

    torch.cuda.is_initialized, torch.cuda.synchronize = lambda: True, fault

def leaves_a_line_unended(context, report):
    with open("results.jsonl", "a") as file:
        file.write('{"check": "cut')
    report.figure("not_a_number", float("nan"))

for function in (raises, exits, kills_itself, ends_silently, breaks_the_gpu, leaves_a_line_unended):
    check("correctness")(function)
""",
    "resume": """
from gpu_checks import check

@check("resume", "bars")
def _(context, report):
    report.bar("high", 3.0, at_most=2)
    report.bar("low", 1.0, at_least=2)
    report.bar("nan", float("nan"), at_most=2)
    report.bar("met", 2.0, at_most=2, at_least=2)
""",
    "speed": "import no_such_module",
    "chain": """
import subprocess, time
from gpu_checks import check

@check("chain")
def early(context, report):
    report.figure("dry", context.dry)

@check("chain")
def sleeps(context, report):
    (context.out / "asleep").write_text(str(subprocess.Popen(["sleep", "600"]).pid))
    time.sleep(600)

@check("chain")
def after(context, report): ...
""",
}


@pytest.fixture(scope="module")
def runner(tmp_path_factory) -> Path:
    """The runner with the checks above, and a folder with the names of data."""
    folder = tmp_path_factory.mktemp("benchmarks")
    shutil.copy(BENCHMARKS / "gpu.py", folder)
    (folder / "gpu_checks").mkdir()
    for name in ("__init__.py", "__main__.py"):
        shutil.copy(BENCHMARKS / "gpu_checks" / name, folder / "gpu_checks")
    for name, text in CHECKS.items():
        (folder / f"gpu_checks/{name}.py").write_text(text)
    (folder / "data").mkdir()
    for name in ("train", "validation", "portraits-0000"):
        (folder / f"data/{name}.parquet").touch()
    return folder / "gpu.py"


def command(runner: Path, *arguments: str) -> list[str]:
    return [sys.executable, str(runner), *arguments]


def run(runner: Path, *arguments: str) -> tuple[int, str]:
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(BENCHMARKS.parent)}
    done = subprocess.run(command(runner, *arguments), env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def alive(path: Path) -> bool:
    """Whether the process whose id a file holds runs; one that has ended can wait to be reaped."""
    try:
        return psutil.Process(int(path.read_text())).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="module")
def results(runner) -> tuple[int, str, dict[str, dict]]:
    """Exit status, what is printed, and results by check, of all groups but the one that is late."""
    out = runner.parent / "out"
    groups = ["--only", "correctness", "resume", "speed"]
    code, said = run(runner, "--dry", "--data", str(runner.parent / "data"), "--out", str(out), *groups)
    found = json.loads((out / "gpu.json").read_text(), parse_constant=pytest.fail)
    return code, said, {check["check"]: check for check in found["checks"]}


def test_a_check_that_fails_or_ends_its_process_is_noted_and_the_rest_goes_on(results):
    code, said, checks = results
    states = {name: check["state"] for name, check in checks.items() if check["group"] == "correctness"}
    assert states == {
        "raises": "failed",
        "exits": "failed",
        "kills_itself": "crashed",
        "ends_silently": "crashed",
        "breaks_the_gpu": "failed",
        "leaves_a_line_unended": "passed",
    }
    assert code == 1 and "ValueError: no such luck" in said
    assert checks["raises"]["figures"] == {"before": 1}
    assert checks["leaves_a_line_unended"]["figures"] == {"not_a_number": None}


def test_each_missed_bar_is_a_sentence_and_nan_misses(results):
    check = results[2]["bars"]
    assert check["state"] == "missed"
    assert check["missed"] == [
        "high is 3; the bar is at most 2",
        "low is 1; the bar is at least 2",
        "nan is nan; the bar is at most 2",
    ]
    assert check["figures"] == {"high": 3, "low": 1, "nan": None, "met": 2}


def test_a_group_that_cannot_start_says_why(results):
    assert results[2]["start"]["group"] == "speed" and results[2]["start"]["state"] == "crashed"
    assert "No module named 'no_such_module'" in results[2]["start"]["error"]


def test_a_check_past_the_deadline_is_stopped_with_all_that_it_started(runner, tmp_path):
    data = str(runner.parent / "data")
    minutes = "0.4"  # two starts of PyTorch, and the closing seconds
    code, said = run(runner, "--dry", "--data", data, "--out", str(tmp_path), "--only", "chain", "--minutes", minutes)
    checks = json.loads((tmp_path / "gpu.json").read_text())["checks"]
    assert [(check["check"], check["state"]) for check in checks] == [
        ("early", "passed"),
        ("sleeps", "late"),
        ("after", "late"),
    ]
    assert code == 1 and checks[2]["error"] == "not reached", said
    assert not alive(tmp_path / "asleep")


def test_a_terminated_run_leaves_no_process(runner, tmp_path):
    arguments = ["--dry", "--data", str(runner.parent / "data"), "--out", str(tmp_path), "--only", "chain"]
    with subprocess.Popen(command(runner, *arguments), env=os.environ | {"PYTHONPATH": str(BENCHMARKS.parent)}) as run:
        end = time.monotonic() + 60
        while not (tmp_path / "asleep").exists() or not (tmp_path / "asleep").read_text():
            assert time.monotonic() < end, "not started"
            time.sleep(0.1)
        run.send_signal(signal.SIGTERM)
    assert run.returncode == 143 and not alive(tmp_path / "asleep")


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ([], "no GPU: torch.cuda.is_available() is false; accepted: a machine with one, or --dry"),
        (["--dry", "--only", "sped"], "--only: found sped; accepted: correctness, resume, speed, chain"),
        (
            ["--dry", "--data", "nowhere"],
            "--data: nowhere/train.parquet is missing; accepted: a folder that benchmarks/gpu_data.py wrote",
        ),
    ],
)
def test_wrong_arguments_are_one_line(runner, tmp_path, arguments, fault):
    assert run(runner, "--out", str(tmp_path / "out"), *arguments) == (1, f"gpu.py: {fault}\n")
    assert not (tmp_path / "out").exists()
