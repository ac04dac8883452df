"""The real Snakefile on a tiny config, in folders of their own: what the tests of whole runs share."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

from facemill.files import sha256
from helpers.forked import snakemake_in

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests/workflow/tiny.yaml"
PROJECT = [
    "Snakefile",
    "rules",
    "workflow",
    "scripts",
    "facemill",
    "envs",
    "profiles",
    "config",
    ".dvcignore",
    ".gitignore",
]


CORES = ["--cores", "2", "--max-threads", "1"]
"""One thread a job, so that jobs side by side do not wait for each other."""


def command(*arguments: str) -> list[str]:
    """Snakemake on the tiny config as its user starts it."""
    return [sys.executable, "-m", "snakemake", *CORES, *arguments]


def snakemake(project: Path, *arguments: str) -> tuple[int, str]:
    """The same without the wait for imports; its exit code, and what it and its jobs say."""
    return snakemake_in(project, [*CORES, *arguments])


def planned(project: Path, *arguments: str) -> dict[str, int]:
    """The jobs of a dry run, by rule."""
    code, said = snakemake(project, "-n", *arguments)
    assert code == 0, said
    table = re.search(r"Job stats:\n.*\n-.*\n((?:\w+ +\d+\n)+)", said)
    jobs = dict(line.split() for line in table[1].splitlines()) if table else {"total": 0}
    return {rule: int(count) for rule, count in jobs.items() if rule != "total"}


def new_project(folder: Path) -> Path:
    """A copy of the project in a folder that is not there yet; `config.yaml` holds the tiny settings, and what is
    generated follows from it."""
    folder.mkdir(parents=True)
    for name in PROJECT:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / name, folder / name)
    settings = merged(*(yaml.safe_load(path.read_text()) for path in (ROOT / "config/config.yaml", TINY)))
    (folder / "config/config.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    make_generated(folder)
    return folder


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that one of pytest's processes fills, for all of them; a test that changes it takes a copy.

    Where FACEMILL_MADE names a folder, for all runs of pytest that are given it, of the same code.
    """
    root = factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    folder = Path(os.environ.get("FACEMILL_MADE", root), name)
    with FileLock(f"{folder}.lock"):
        if not (folder / "made").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            (folder / "made").touch()
    return folder


def make_generated(project: Path) -> None:
    """Renews the files that are made from a project's rules, code and config."""
    command = [sys.executable, "-m", "facemill.workflow.generated"]
    subprocess.run(command, cwd=project, env=os.environ | {"PYTHONPATH": str(project)}, check=True)


def merged(base: dict, more: dict) -> dict:
    """The settings of `base` with those of `more` over them, as Snakemake merges config files."""
    both = {k: merged(base[k] or {}, more[k]) for k in base.keys() & more.keys() if isinstance(more[k], dict)}
    return base | more | both


def results_of(project: Path) -> dict[str, str]:
    """The SHA-256 of every product of a run that does not tell the time."""
    files = [path for path in (project / "results").rglob("*") if path.is_file()]
    timed = re.compile(
        r"timings/shard-\d+\.json|gate/metrics\.json|summary\.(json|html)|report\.html|\.snakemake_timestamp"
    )
    return {str(p.relative_to(project)): sha256(p) for p in sorted(files) if not timed.search(str(p))}


def wait_for(condition: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def jobs_in(folder: Path) -> list[Path]:
    """The processes at work in a folder, as folders of /proc."""

    def works_in(process: Path) -> bool:
        try:
            return (process / "cwd").readlink() == folder and (process / "cmdline").read_bytes() != b""
        except OSError:
            return False  # it ended meanwhile

    return [process for process in Path("/proc").glob("[0-9]*") if works_in(process)]


def is_training(process: Path) -> bool:
    """Whether a process is a training that has begun: from then on it handles SIGTERM."""
    try:
        command, status = (process / "cmdline").read_bytes().split(b"\0"), (process / "status").read_text()
    except OSError:
        return False
    handled = int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16)
    return command[0].endswith(b"python") and b"train_unet" in command[1] and bool(handled >> (signal.SIGTERM - 1) & 1)
