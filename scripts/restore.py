"""Restores results that were shared through DVC, so that Snakemake has nothing left to do."""

from pathlib import Path

from facemill.errors import UserError
from facemill.log import log
from facemill.workflow.command import run
from facemill.workflow.dvc import damaged, run_module, stale_jobs, stale_stages


def main(*, remote: str | None = None) -> None:
    """Pulls the results that `dvc.lock` names and tells Snakemake that they are up to date.

    Refuses when a file is not what was shared, or when settings or code are not those that made the results: Snakemake
    judges by its own record of what it made, and here it would be told to trust them.

    Args:
        remote: one that `dvc remote list` names; by default the default one
    """
    if not Path("dvc.lock").exists():
        raise UserError("dvc.lock: not there; accepted: a commit that shared results, see scripts/share.py")
    run_module("dvc", "pull", *(["--remote", remote] if remote else []))
    if wrong := damaged():
        raise UserError(
            f"{wrong[0]}: damaged in the cache or the remote, as are {len(wrong) - 1} more; removed here, so that "
            "another restore fetches them from the remote; where they are damaged there too, share them anew"
        )
    if stale := stale_stages():
        raise UserError(
            f"results: not what these settings and this code make ({stale}); run Snakemake, or check out "
            "the commit that shared them"
        )
    # all of them: what looks new enough by its date needs its record too
    run_module("snakemake", "--touch", "--forceall", "--cores", "1")
    if stale := stale_jobs():
        raise UserError(f"results: Snakemake would still run {stale}")
    log.info("restored: Snakemake has nothing left to do")


if __name__ == "__main__":
    run(main)
