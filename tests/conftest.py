"""What all tests share."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers.running import command, made_once, new_project
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: small work, and several tests at once
settings.register_profile("repeatable", derandomize=True)  # the same examples in each run
settings.load_profile("repeatable")

pytest_plugins = ["helpers.scenes", "helpers.colorist", "helpers.training", "helpers.sharing"]

AUDIT = """import os, sys
def note(event, arguments):
    if event == "pickle.find_class":
        with open(os.environ["FACEMILL_AUDIT"], "a") as file:
            file.write(f"{sys.argv[0]} {arguments}\\n")
if "FACEMILL_AUDIT" in os.environ:
    sys.addaudithook(note)
"""
"""A `sitecustomize` by which every Python of a run notes what it unpickles."""


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """A copy of the project in which the whole chain has run, one for all of pytest's processes; what it unpickled is
    noted in `audit`."""
    return made_once(tmp_path_factory, "finished", run_whole_chain) / "facemill"


def run_whole_chain(folder: Path) -> None:
    project = new_project(folder / "facemill")
    (project / "audit.py").write_text(AUDIT)
    (project / "sitecustomize.py").write_text(AUDIT)
    environment = os.environ | {"FACEMILL_AUDIT": str(project / "audit")}
    run = subprocess.run(
        command(), cwd=project, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    (project / "sitecustomize.py").unlink()
    assert run.returncode == 0, run.stdout


@pytest.fixture
def project(finished, tmp_path) -> Path:
    """A copy of the finished project that a test may change."""
    return shutil.copytree(finished, tmp_path / "facemill")
