"""The command of rule `report`."""

import subprocess
import sys
from pathlib import Path

from facemill.errors import UserError
from facemill.files import atomic_write, digest
from facemill.workflow.command import run


def main(*, snakefile: Path, config: str, figures: list[Path], out: Path) -> None:
    """Makes Snakemake's report of figures that are up to date; no rule is run.

    Args:
        snakefile: the workflow that made the figures
        config: all its settings, as JSON
        figures: the files to show, each marked with `report(...)` in its rule
        out: one HTML page that needs no other file
    """
    settings = Path("work") / f"report-{digest(config, [])}.json"
    with atomic_write(settings) as tmp:
        tmp.write_text(config)
    with atomic_write(out) as tmp:
        made = subprocess.run(
            [sys.executable, "-m", "snakemake", "--snakefile", snakefile, "--configfile", settings]
            + ["--workflow-profile", "none", "--nolock", "--report", tmp, "--", *figures],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        settings.unlink()
        if made.returncode:
            raise UserError(f"{out}: Snakemake's report failed\n{made.stdout}")


if __name__ == "__main__":
    run(main)
