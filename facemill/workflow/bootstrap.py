"""Side effects of parsing the Snakefile, in each of Snakemake's processes: all of them, and why.

1. `PATH` and `PYTHONPATH` are set, so that a rule's `python` is this one with the library beside the Snakefile. A conda
   environment still puts its Python before it.
2. A task of a Slurm array replaces itself by its job (`slurm_arrays`): a defect of the executor plugin.
3. The config is validated: an error ends Snakemake with one line.
4. In the main process, locks of runs that have ended are removed (`lifetime`): Snakemake itself keeps them for ever.
5. There, too, SIGTERM ends running jobs at once: Snakemake's scheduler, which would wait for them, is patched.
6. `FACEMILL_WORKFLOW` tells jobs the id of the process that they must not outlive.
7. Python's garbage collector runs less often, and not at the end: with 1,000 shards it takes a third of the time of
   planning, and frees next to nothing.

All happen under `--dry-run`, too. Snakemake's version is bounded in `pyproject.toml`, since 2 and 5 use internals that
it does not document.
"""

import atexit
import gc
import os
import sys
from pathlib import Path
from typing import IO, Any

from snakemake.scheduling.job_scheduler import JobScheduler

from facemill.config.root import Config
from facemill.config.validation import validate
from facemill.errors import UserError
from facemill.workflow.lifetime import WORKFLOW, clear_stale_locks, terminate_jobs
from facemill.workflow.slurm_arrays import exec_array_task

_alive: list[IO[str]] = []
"""The file whose lock marks the run as alive, as long as this process lives."""


def bootstrap(workflow: Any, config: dict[str, Any], root: Path) -> Config:
    """The validated config of a run; see the module's docstring for what else happens.

    Args:
        workflow: Snakemake's workflow.
        config: the merged config files and `--config` options.
        root: the folder that holds `facemill`.
    """
    os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])  # noqa: PTH120
    os.environ["PYTHONPATH"] = str(root.resolve())
    exec_array_task()
    try:
        validated = validate(config)
    except UserError as error:
        sys.exit(f"config: {error}")
    if workflow.is_main_process and WORKFLOW not in os.environ:
        _alive.append(clear_stale_locks(Path(".snakemake")))
        JobScheduler.exit_gracefully = terminate_jobs
    os.environ[WORKFLOW] = str(os.getpid())
    gc.set_threshold(100_000)
    atexit.register(gc.freeze)
    return validated
