"""Snakemake that asks Slurm every second how its jobs are.

The plugin waits ten seconds longer after each look at which no job had ended, which for jobs of seconds is most of a
run's time; there is no option for it.
"""

import asyncio

from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

RemoteExecutor.sleep = lambda _: asyncio.sleep(1)
main()
