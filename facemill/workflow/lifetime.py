"""Lifetimes: jobs end with their workflow, and the lock of a killed workflow does not stop the next run."""

import fcntl
import os
import select
import signal
import threading
from pathlib import Path
from typing import IO, NoReturn

import psutil

WORKFLOW = "FACEMILL_WORKFLOW"
"""The environment variable that tells jobs the process id of the Snakemake that started them."""


def clear_stale_locks(folder: Path) -> IO[str]:
    """Removes Snakemake's locks from `folder` (its `.snakemake`) when no run is left that could hold them.

    Returns:
        An open file whose shared lock marks this run as alive; the kernel frees it however the run ends. A run that
        gets the lock exclusively knows that all others are gone and their locks stale.
    """
    folder.mkdir(exist_ok=True)
    alive = (folder / "facemill.alive").open("w")
    try:
        fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for stale in folder.glob("locks/*.lock"):
            stale.unlink()
    except BlockingIOError:
        pass  # another run is at work, and needs its locks
    fcntl.flock(alive, fcntl.LOCK_SH)
    return alive


def end_with_workflow() -> None:
    """Sends this process a SIGTERM when the workflow that started it is gone, so that no job outlives it.

    Does nothing outside a workflow, and where the system has no pidfd.
    https://man7.org/linux/man-pages/man2/pidfd_open.2.html
    """
    workflow = os.environ.get(WORKFLOW)
    if not workflow or not hasattr(os, "pidfd_open"):
        return
    try:
        handle = os.pidfd_open(int(workflow))
    except ProcessLookupError:
        signal.raise_signal(signal.SIGTERM)
        return

    def wait() -> None:
        select.select([handle], [], [])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def terminate_jobs(*_: object) -> NoReturn:
    """Replaces Snakemake's handler of SIGTERM, which waits until all running jobs have ended.

    Ends the shells of the jobs that run here, which then end with this process, and stops as Ctrl-C does: jobs in a
    cluster's queue are canceled.
    """
    for shell in psutil.Process().children():
        shell.terminate()
    raise KeyboardInterrupt
