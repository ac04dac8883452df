"""Slurm arrays: each task runs as a job of its own."""

import os
import sys
from collections.abc import Mapping, Sequence

OPTION = "--slurm-jobstep-array-execs"
"""Snakemake's option, internal to its Slurm plugin, that holds the commands of an array's tasks but the first."""


def exec_array_task(arguments: Sequence[str] = sys.argv, environment: Mapping[str, str] = os.environ) -> None:
    """Becomes the command of its own task when this is a task of an array, the first aside; else does nothing.

    snakemake-executor-plugin-slurm 2.8 starts every task with the first one's job and lets that job's place be taken
    by the task's command later: it then expects the first one's output, and removes it when that is not there.
    https://github.com/snakemake/snakemake-executor-plugin-slurm/issues/447
    """
    task = environment.get("SLURM_ARRAY_TASK_ID")
    encoded = next((a.removeprefix(OPTION).removeprefix("=") for a in arguments if a.startswith(f"{OPTION}=")), None)
    if not encoded or task is None or task == environment.get("SLURM_ARRAY_TASK_MIN"):
        return
    from snakemake_executor_plugin_slurm_jobstep import _decompress_array_task_call

    os.execvp("sh", ["sh", "-c", _decompress_array_task_call(encoded, int(task))])
