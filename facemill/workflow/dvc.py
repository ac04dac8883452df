"""Results shared through DVC: when they may be, and whether what came back is what was shared."""

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Self

import yaml
from dvc.exceptions import DvcException
from dvc.repo import Repo

from facemill.errors import UserError
from facemill.files import write_json
from facemill.log import log
from facemill.workflow.generated import SETTINGS, SOURCES, code_json, dvc_yaml, generate
from facemill.workflow.parsed import parse
from facemill.workflow.sources import Sources


class Place(NamedTuple):
    """Where git and DVC keep the versions of a dataset's results."""

    dataset: str
    settings: Path
    """The settings behind the results: `config/config.yaml` for its dataset, `datasets/<dataset>/config.yaml` else."""
    stages: Path
    """DVC's stages; `dvc.lock` lies beside them."""

    @classmethod
    def of(cls, dataset: str | None) -> Self:
        """That of a dataset, or of the one in `config/config.yaml`."""
        first = yaml.safe_load(SETTINGS.read_text())["dataset"]
        if dataset in (None, first):
            return cls(first, SETTINGS, Path("dvc.yaml"))
        return cls(dataset, Path("datasets", dataset, "config.yaml"), Path("datasets", dataset, "dvc.yaml"))

    @property
    def is_first(self) -> bool:
        """Whether this is the dataset of `config/config.yaml`, whose stages `make generated` makes."""
        return self.settings == SETTINGS

    @property
    def lock(self) -> Path:
        return self.stages.with_suffix(".lock")

    @property
    def folder(self) -> Path:
        return Path("datasets", self.dataset)

    @property
    def shared_files(self) -> Path:
        """What DVC knows of the copies of the files that the settings name."""
        return self.folder / "sources.dvc"

    def targets(self) -> list[str]:
        """What DVC pulls and pushes."""
        return [str(path) for path in (self.stages, self.shared_files) if path.exists()]

    def sources(self, settings: Path) -> Sources:
        return Sources(settings, self.folder / "sources")


def share(dataset: str | None = None, *, remote: str | None = None, with_sources: bool = False) -> None:
    """Commits a dataset's results to DVC and pushes them to a remote; refuses while Snakemake has anything left to do.

    Then commit to git what the last line names: who has that commit gets the results by `scripts/restore.py`.

    Args:
        dataset: the folder under `results/`; by default that of `config/config.yaml`. Of others the settings of the
            last run count, overlays and options too, as `results/<dataset>/config.yaml` holds them.
        remote: one that `dvc remote list` names; by default the default one.
        with_sources: whether copies of all files are shared that the settings name: images, labels, weights.
    """
    place = Place.of(dataset)
    settings = place.settings if place.is_first else Path("results", place.dataset, "config.yaml")
    stages = _stages_of(place, settings)
    if stale := stale_jobs(settings):
        raise UserError(f"results: not up to date ({stale}); accepted: those of a finished run of Snakemake")
    sources = place.sources(settings)
    if not place.is_first:
        place.folder.mkdir(parents=True, exist_ok=True)
        place.settings.write_bytes(settings.read_bytes())
        place.stages.write_text(stages)
    if sources.paths or not place.is_first:
        write_json(place.folder / SOURCES, sources.listing())
    if with_sources:
        if not sources.paths:
            raise UserError(f"--with-sources: {settings} names no files; accepted: results of files of one's own")
        sources.copy()
        run_module("dvc", "add", "--no-relink", str(sources.copies))
    _commit(place.stages)
    log.info(run_module("dvc", "push", *_to(remote), *place.targets()).strip())
    files = ["dvc.lock"] * place.is_first + [str(place.folder)] * place.folder.exists()
    command = "scripts/restore.py" if place.is_first else f"scripts/restore.py {place.dataset}"
    log.info(f"shared; commit {' and '.join(files)} to git, and {command} brings these results back at that commit")


def restore(dataset: str | None = None, *, remote: str | None = None) -> None:
    """Pulls a dataset's results that were shared and tells Snakemake that they are up to date.

    Refuses when a file is not what was shared, or when settings, code, or the files that the settings name are not
    those that made the results: `snakemake --touch` records them as up to date without a check.

    Args:
        dataset: the folder under `results/`; by default that of `config/config.yaml`.
        remote: one that `dvc remote list` names; by default the default one.
    """
    place = Place.of(dataset)
    if not place.lock.exists():
        others = [path.parent.name for path in Path("datasets").glob("*/dvc.lock")]
        more = f", or one of the datasets {', '.join(sorted(others))}" if others else ""
        raise UserError(f"{place.lock}: not there; accepted: a commit that shared results, see scripts/share.py{more}")
    if place.is_first:
        _check_generated()
    run_module("dvc", "pull", *_to(remote), *place.targets())
    if wrong := damaged(place):
        raise UserError(
            f"{wrong[0]}: damaged in the cache or the remote (1 of {len(wrong)}); removed here, so that "
            "another restore fetches them from the remote; where they are damaged there too, share them anew"
        )
    _check_sources(place)
    if not place.is_first:  # to parse its settings the files must be there that they name
        _check_stages(place)
    if stale := stale_stages(place):
        raise UserError(
            f"results: not what these settings and this code make ({stale}); run Snakemake, or check out "
            "the commit that shared them"
        )
    # all of them: what is new enough by its date needs its record too
    run_module("snakemake", "--touch", "--forceall", "--cores", "1", *_configfile(place.settings))
    if stale := stale_jobs(place.settings):
        raise UserError(f"results: Snakemake would still run {stale}")
    log.info("restored: Snakemake has nothing left to do")


def _to(remote: str | None) -> list[str]:
    return ["--remote", remote] if remote else []


def _configfile(settings: Path) -> list[str]:
    return [] if settings == SETTINGS else ["--configfile", str(settings)]


def _stages_of(place: Place, settings: Path) -> str:
    """DVC's stages of a dataset.

    Raises:
        UserError: Its settings are missing, or what `make generated` makes is not that of these rules and this code.
    """
    if place.is_first:
        _check_generated()
        return place.stages.read_text()
    if not settings.exists():
        made = sorted(path.parent.name for path in Path("results").glob("*/config.yaml"))
        raise UserError(
            f"{settings}: not there; accepted: a dataset that Snakemake has made ({', '.join(made) or 'none yet'}); "
            "`snakemake --forcerun report ...` writes the settings of older results"
        )
    config = yaml.safe_load(settings.read_text())
    if config["dataset"] != place.dataset:
        raise UserError(f"{settings}: the settings of {config['dataset']}; accepted: those of {place.dataset}")
    with parse(Path.cwd(), settings) as parsed:
        digests, known = (json.loads(text) for text in (code_json(parsed), Path("code.json").read_text()))
        if changed := [rule for rule in digests if digests[rule] != known.get(rule)]:
            raise UserError(f"code.json: not that of these rules ({', '.join(changed)}); run `make generated`")
        return dvc_yaml(parsed, config, place.settings)


def _check_stages(place: Place) -> None:
    """Raises `UserError` when DVC's stages of a dataset are not those of these rules and this code."""
    if _stages_of(place, place.settings) != place.stages.read_text():
        raise UserError(
            f"{place.stages}: not that of these rules and this code; check out the commit that shared the "
            f"results, or run Snakemake with {place.settings} and share them anew"
        )


def _check_generated() -> None:
    """Raises `UserError` when what `make generated` makes is not that of these rules, this code and the config."""
    for path, content in generate(Path.cwd()).items():
        if not path.exists() or path.read_text() != content:
            raise UserError(
                f"{path.name}: not that of these rules, this code and config/config.yaml; run `make generated`"
            )


def _check_sources(place: Place) -> None:
    """Puts back the files that the settings name; raises `UserError` for those that are not there, or not the same."""
    sources = place.sources(place.settings)
    if place.shared_files.exists() and "symlink" in run_module("dvc", "config", "cache.type"):
        run_module("dvc", "unprotect", str(sources.copies))  # ingestion reads no links that lead elsewhere
    sources.put_back()
    listing = place.folder / SOURCES
    shared = json.loads(listing.read_text()) if listing.exists() else {}
    if faults := sources.missing() or sources.changed(shared):
        lines = "".join(f"\n  {fault}" for fault in faults)
        raise UserError(f"results/{place.dataset}: here and undamaged, but Snakemake cannot go on with them{lines}")


def _commit(stages: Path) -> None:
    """`dvc commit --force`, but with results that may be a link that leads out of the repository: git ignores them."""
    try:
        with Repo(config={"core": {"no_scm": True}}) as repo:
            repo.commit(str(stages), force=True)
    except DvcException as error:
        raise UserError(f"dvc commit {stages} failed\n{error}") from error


def run_module(program: str, *arguments: str) -> str:
    """The output of `python -m program`; raises `UserError` with all of it when the program fails."""
    command = [sys.executable, "-m", program, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise UserError(f"{program} {' '.join(arguments)} failed\n{done.stdout.strip()}")
    return done.stdout


def stale_jobs(settings: Path) -> str:
    """The jobs that Snakemake would run, as `2 pseudo_label, 1 report`; empty when it has nothing to do."""
    plan = run_module("snakemake", "--dry-run", "--cores", "1", *_configfile(settings))
    if "Nothing to be done" in plan:
        return ""
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", plan, re.M))  # the table comes twice
    return ", ".join(f"{count} {rule}" for rule, count in jobs.items() if rule not in ("all", "total"))


def stale_stages(place: Place) -> str:
    """The stages that DVC finds changed against `dvc.lock`, each with what changed; empty when there is none."""
    output = run_module("dvc", "status", "--json", str(place.stages))
    status = json.loads(next(line for line in output.splitlines() if line.startswith("{")))
    changed = {stage.split(":")[-1]: sorted(_changed(changes)) for stage, changes in status.items()}
    return "; ".join(f"{stage}: {', '.join(names)}" for stage, names in changed.items())


def _changed(changes: list) -> Iterator[str]:
    """The files and settings in a stage's status, which nests them in groups such as `changed deps`."""
    for change in changes:
        for group in change.values() if isinstance(change, dict) else [{change: ""}]:
            for name, how in group.items():
                yield from how if isinstance(how, dict) else [name]


def damaged(place: Place) -> list[Path]:
    """Removes files whose contents are not those that were shared, here and in the cache; returns their paths.

    The next pull fetches them again. DVC itself does not check files from its cache.
    """
    cache = Path(run_module("dvc", "cache", "dir").split()[-1], "files", "md5")
    files = list(_recorded(place, cache))
    with ThreadPoolExecutor(4) as pool:
        digests = pool.map(_md5, [path for path, _ in files])
    wrong = [(path, md5) for (path, md5), actual in zip(files, digests, strict=True) if actual != md5]
    for path, md5 in wrong:
        path.unlink()
        (cache / md5[:2] / md5[2:]).unlink(missing_ok=True)
    return [path for path, _ in wrong]


def _recorded(place: Place, cache: Path) -> Iterator[tuple[Path, str]]:
    """Yields every existing file that was shared, with the MD5 that `dvc.lock` or `sources.dvc` names."""
    outs = [out for stage in yaml.safe_load(place.lock.read_text())["stages"].values() for out in stage["outs"]]
    if place.shared_files.exists():
        copies = yaml.safe_load(place.shared_files.read_text())["outs"]
        outs += [out | {"path": place.folder / out["path"]} for out in copies]
    for out in outs:
        path, md5 = Path(out["path"]), out["md5"]
        listed = [("", md5)]
        if md5.endswith(".dir"):
            entries = json.loads((cache / md5[:2] / md5[2:]).read_text())
            listed = [(entry["relpath"], entry["md5"]) for entry in entries]
        yield from ((path / name, md5) for name, md5 in listed if (path / name).exists())


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
