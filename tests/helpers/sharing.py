"""Repositories whose results are shared through DVC, clones of them, and an S3 server."""

import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from helpers.running import ROOT, wait_for

WHO = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]


def call(clone: Path, *command: str, code: int = 0) -> str:
    """What a command says in a clone; `dvc` and scripts are those of this Python."""
    python = {"dvc": [sys.executable, "-m", "dvc"], "python": [sys.executable]}.get(command[0], [command[0]])
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "GIT_PAGER": ""}
    environment |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    environment["PYTHONPATH"] = str(clone)  # the clone's own library
    done = subprocess.run(
        [*python, *command[1:]], cwd=clone, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def commit(clone: Path) -> str:
    """Commits everything to git; the commit's id."""
    call(clone, "git", "add", "--all")
    call(clone, "git", *WHO, "commit", "--quiet", "--message", "results")
    return call(clone, "git", "rev-parse", "HEAD").strip()


def new_repository(finished: Path, folder: Path) -> Path:
    """A repository of the finished project, without a commit, whose default remote is the folder beside it."""
    shutil.copytree(finished, folder)
    shutil.copytree(ROOT / ".dvc", folder / ".dvc", ignore=lambda *_: {"tmp", "cache", "config.local"})
    call(folder, "git", "init", "--quiet")
    call(folder, "dvc", "remote", "add", "--default", "folder", "../remote")
    return folder


def clone_of(repository: Path, folder: Path) -> Path:
    """A clone that git makes."""
    call(folder.parent, "git", "clone", "--quiet", str(repository), str(folder))
    return folder


def clone_with_remote(repository: Path, folder: Path) -> Path:
    """A fresh clone in a folder, with a copy of the remote beside it, where it can be changed."""
    shutil.copytree(repository.parent / "remote", folder / "remote")
    return clone_of(repository, folder / "clone")


@pytest.fixture
def s3(tmp_path):
    """The address of an S3 server, moto's, with one empty bucket."""
    log = (tmp_path / "moto.log").open("w")
    server = subprocess.Popen([sys.executable, "-m", "moto.server", "--port", "0"], stdout=log, stderr=log)
    address = []

    def listens() -> bool:
        address[:] = re.findall(r"http://127\.0\.0\.1:\d+", (tmp_path / "moto.log").read_text())
        return bool(address)

    wait_for(listens)
    urllib.request.urlopen(urllib.request.Request(f"{address[0]}/portraits", method="PUT"))
    yield address[0]
    server.terminate()
    server.wait()
