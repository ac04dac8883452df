"""Snakemake in processes forked from one that has imported it: each start of a new Python takes it 1.7 s of a core.

Projects have a library of their own, so that server imports nothing of `facemill`.
"""

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["snakemake.cli", "snakemake.report", "boto3", "pydantic", "yaml"])


def snakemake_in(project: Path, arguments: Sequence[str]) -> tuple[int, str]:
    """Runs `snakemake` with arguments in a folder; its exit code, and what it and its jobs say."""
    with tempfile.NamedTemporaryFile("r") as said:
        process = PROCESSES.Process(target=_main, args=(project, arguments, dict(os.environ), said.name))
        process.start()
        process.join()
        return process.exitcode, said.read()


def _main(project: Path, arguments: Sequence[str], environment: dict[str, str], said: str) -> None:
    """What `python -m snakemake` does there with this environment."""
    from snakemake.cli import main

    output = os.open(said, os.O_WRONLY | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(output, stream.fileno())
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(project)
    sys.argv = ["snakemake", *arguments]
    main(arguments)
