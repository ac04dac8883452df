"""Results shared through DVC: when they may be, and whether what came back is what was shared."""

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from facemill.errors import UserError


def run_module(program: str, *arguments: str) -> str:
    """What a program of this Python's says; raises `UserError` with all of it when it fails."""
    command = [sys.executable, "-m", program, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise UserError(f"{program} {' '.join(arguments)} failed\n{done.stdout.strip()}")
    return done.stdout


def stale_jobs() -> str:
    """The jobs that Snakemake would run, as `2 pseudo_label, 1 report`; empty when it has nothing to do."""
    plan = run_module("snakemake", "--dry-run", "--cores", "1")
    if "Nothing to be done" in plan:
        return ""
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", plan, re.M))  # the table comes twice
    return ", ".join(f"{count} {rule}" for rule, count in jobs.items() if rule not in ("all", "total"))


def stale_stages() -> str:
    """The stages that DVC finds changed against `dvc.lock`, each with what changed; empty when there is none."""
    said = run_module("dvc", "status", "--json")
    status = json.loads(next(line for line in said.splitlines() if line.startswith("{")))
    return "; ".join(f"{stage}: {', '.join(sorted(_changed(changes)))}" for stage, changes in status.items())


def _changed(changes: list) -> Iterator[str]:
    """The files and settings in a stage's status, which nests them in groups such as `changed deps`."""
    for change in changes:
        for group in change.values() if isinstance(change, dict) else [{change: ""}]:
            for name, how in group.items():
                yield from how if isinstance(how, dict) else [name]


def damaged() -> list[Path]:
    """The files of all products whose contents are not those that `dvc.lock` names; each is removed, here and in the
    cache, so that the next pull brings it anew.

    DVC itself trusts what it took from its cache.
    """
    cache = Path(run_module("dvc", "cache", "dir").split()[-1], "files", "md5")
    files = list(_recorded(cache))
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(_md5, [path for path, _ in files])
    wrong = [(path, md5) for (path, md5), actual in zip(files, found, strict=True) if actual != md5]
    for path, md5 in wrong:
        path.unlink()
        (cache / md5[:2] / md5[2:]).unlink(missing_ok=True)
    return [path for path, _ in wrong]


def _recorded(cache: Path) -> Iterator[tuple[Path, str]]:
    """Every file of the products in `dvc.lock` that is there, and its MD5."""
    for stage in yaml.safe_load(Path("dvc.lock").read_text())["stages"].values():
        for out in stage["outs"]:
            path, md5 = Path(out["path"]), out["md5"]
            listed = [("", md5)]
            if md5.endswith(".dir"):
                entries = json.loads((cache / md5[:2] / md5[2:]).read_text())
                listed = [(entry["relpath"], entry["md5"]) for entry in entries]
            yield from ((path / name, md5) for name, md5 in listed if (path / name).exists())


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
