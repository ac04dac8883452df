"""The report: a page of all figures of a run."""

import subprocess
import sys
from pathlib import Path

from facemill.errors import UserError
from facemill.files import atomic_write, digest


def report(*, snakefile: Path, config: str, figures: list[Path], report: Path) -> None:
    """Makes Snakemake's report of figures that are up to date.

    A second Snakemake makes the report while the first runs this job, since there is no other interface to its reports.
    The second runs no rule and takes no lock (`--nolock`).

    Args:
        snakefile: the workflow that made the figures.
        config: all its settings, as JSON.
        figures: the files to show, each marked with `figure(...)` in its rule.
        report: one HTML page that needs no other file.

    Raises:
        UserError: Snakemake fails.
    """
    settings = Path("work") / f"report-{digest(config, [])}.json"
    with atomic_write(settings) as tmp:
        tmp.write_text(config)
    with atomic_write(report) as tmp:
        command: list[str | Path] = [sys.executable, "-m", "snakemake"]
        command += ["--snakefile", snakefile, "--configfile", settings]
        command += ["--workflow-profile", "none", "--nolock", "--report", tmp, "--", *figures]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        settings.unlink()
        if done.returncode:
            raise UserError(f"{report}: Snakemake's report failed\n{done.stdout}")
