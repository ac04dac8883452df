"""Shares the results through DVC."""

from facemill.errors import UserError
from facemill.log import log
from facemill.workflow.command import run
from facemill.workflow.dvc import run_module, stale_jobs


def main(*, remote: str | None = None) -> None:
    """Commits the results to DVC and pushes them to a remote; refuses while Snakemake has anything left to do.

    Then commit `dvc.lock` to git: who has that commit gets the results by `scripts/restore.py`.

    Args:
        remote: one that `dvc remote list` names; by default the default one
    """
    if stale := stale_jobs():
        raise UserError(f"results: not up to date ({stale}); accepted: those of a finished run of Snakemake")
    run_module("dvc", "commit", "--force")
    log.info(run_module("dvc", "push", *(["--remote", remote] if remote else [])).strip())
    log.info("shared; commit dvc.lock to git, and scripts/restore.py brings these results back at that commit")


if __name__ == "__main__":
    run(main)
