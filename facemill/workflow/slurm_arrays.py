"""Slurm arrays: each task runs the job that it was submitted for."""

import os
import sys
from collections.abc import Mapping, Sequence

OPTION = "--slurm-jobstep-array-execs"
"""Snakemake's option, internal to its Slurm plugin, that holds the commands of an array's tasks but the first."""


def exec_array_task(arguments: Sequence[str] = sys.argv, environment: Mapping[str, str] = os.environ) -> None:
    """Replaces this process by its task's command when it is a task of an array, but the first; else does nothing.

    snakemake-executor-plugin-slurm 2.8 starts every task with the first task's job and replaces that job by the
    task's command later: it then expects the first job's output, and removes it when it is missing.
    https://github.com/snakemake/snakemake-executor-plugin-slurm/issues/447
    """
    task = environment.get("SLURM_ARRAY_TASK_ID")
    encoded = next((a.removeprefix(OPTION).removeprefix("=") for a in arguments if a.startswith(f"{OPTION}=")), None)
    if not encoded or task is None or task == environment.get("SLURM_ARRAY_TASK_MIN"):
        return
    from snakemake_executor_plugin_slurm_jobstep import _decompress_array_task_call

    os.execvp("sh", ["sh", "-c", _decompress_array_task_call(encoded, int(task))])
