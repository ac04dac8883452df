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
from facemill.log import log
from facemill.workflow.generated import generate


def share(*, remote: str | None = None) -> None:
    """Commits the results to DVC and pushes them to a remote; refuses while Snakemake has anything left to do.

    Then commit `dvc.lock` to git: who has that commit gets the results by `scripts/restore.py`.

    Args:
        remote: one that `dvc remote list` names; by default the default one.
    """
    _check_generated()
    if stale := stale_jobs():
        raise UserError(f"results: not up to date ({stale}); accepted: those of a finished run of Snakemake")
    run_module("dvc", "commit", "--force")
    log.info(run_module("dvc", "push", *_to(remote)).strip())
    log.info("shared; commit dvc.lock to git, and scripts/restore.py brings these results back at that commit")


def restore(*, remote: str | None = None) -> None:
    """Pulls the results that `dvc.lock` names and tells Snakemake that they are up to date.

    Refuses when a file is not what was shared, or when settings or code are not those that made the results:
    `snakemake --touch` records them as up to date without a check.

    Args:
        remote: one that `dvc remote list` names; by default the default one.
    """
    if not Path("dvc.lock").exists():
        raise UserError("dvc.lock: not there; accepted: a commit that shared results, see scripts/share.py")
    _check_generated()
    run_module("dvc", "pull", *_to(remote))
    if wrong := damaged():
        raise UserError(
            f"{wrong[0]}: damaged in the cache or the remote (1 of {len(wrong)}); removed here, so that "
            "another restore fetches them from the remote; where they are damaged there too, share them anew"
        )
    if stale := stale_stages():
        raise UserError(
            f"results: not what these settings and this code make ({stale}); run Snakemake, or check out "
            "the commit that shared them"
        )
    # all of them: what is new enough by its date needs its record too
    run_module("snakemake", "--touch", "--forceall", "--cores", "1")
    if stale := stale_jobs():
        raise UserError(f"results: Snakemake would still run {stale}")
    log.info("restored: Snakemake has nothing left to do")


def _to(remote: str | None) -> list[str]:
    return ["--remote", remote] if remote else []


def _check_generated() -> None:
    """Raises `UserError` when DVC's stages are not those of these rules and this code."""
    for path, content in generate(Path.cwd()).items():
        if not path.exists() or path.read_text() != content:
            raise UserError(
                f"{path.name}: not that of these rules, this code and config/config.yaml; run `make generated`"
            )


def run_module(program: str, *arguments: str) -> str:
    """The output of `python -m program`; raises `UserError` with all of it when the program fails."""
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
    output = run_module("dvc", "status", "--json")
    status = json.loads(next(line for line in output.splitlines() if line.startswith("{")))
    return "; ".join(f"{stage}: {', '.join(sorted(_changed(changes)))}" for stage, changes in status.items())


def _changed(changes: list) -> Iterator[str]:
    """The files and settings in a stage's status, which nests them in groups such as `changed deps`."""
    for change in changes:
        for group in change.values() if isinstance(change, dict) else [{change: ""}]:
            for name, how in group.items():
                yield from how if isinstance(how, dict) else [name]


def damaged() -> list[Path]:
    """Removes files whose contents are not those that `dvc.lock` names, here and in the cache; returns their paths.

    The next pull fetches them again. DVC itself does not check files from its cache.
    """
    cache = Path(run_module("dvc", "cache", "dir").split()[-1], "files", "md5")
    files = list(_recorded(cache))
    with ThreadPoolExecutor(4) as pool:
        digests = pool.map(_md5, [path for path, _ in files])
    wrong = [(path, md5) for (path, md5), actual in zip(files, digests, strict=True) if actual != md5]
    for path, md5 in wrong:
        path.unlink()
        (cache / md5[:2] / md5[2:]).unlink(missing_ok=True)
    return [path for path, _ in wrong]


def _recorded(cache: Path) -> Iterator[tuple[Path, str]]:
    """Yields every existing file of the products in `dvc.lock`, with the MD5 that `dvc.lock` names."""
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
