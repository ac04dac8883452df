"""GPU slots: a device for each job. On a workstation Snakemake counts GPUs but does not say which one a job has."""

import fcntl
import os
import re
import subprocess
import tempfile
import time
from itertools import pairwise, takewhile
from pathlib import Path

from facemill.errors import UserError
from facemill.log import log

_NONE = ("", "-1", "NoDevFiles")
"""Values in CUDA_VISIBLE_DEVICES that stand for no device; CUDA reads no further."""

_held: list[int] = []


def gpus() -> list[str]:
    """The GPUs that this process may use, by the names in CUDA_VISIBLE_DEVICES, else by their UUIDs; [] without any.

    Of a GPU that is divided (MIG) the parts.
    https://docs.nvidia.com/cuda/cuda-c-programming-guide/#cuda-environment-variables
    """
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return list(takewhile(lambda name: name not in _NONE, (name.strip() for name in visible.split(","))))
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    names = re.findall(r"\(UUID: ([^)]+)\)", listed)  # a GPU's parts follow it
    return [name for name, after in pairwise([*names, ""]) if name.startswith("MIG") or not after.startswith("MIG")]


def take_gpus(count: int = 1) -> list[str]:
    """Waits for GPUs that no other job has and shows this process those alone; returns [] where there is none at all.

    Call it before CUDA is touched. The process holds a record lock on a file for each device; the kernel frees it
    however the process ends, and its children have no part in it. The files lie in the system's temporary folder,
    which all users of a workstation share. Slurm numbers the GPUs of each of its jobs anew, so that there the names of
    the locks hold the job's number.

    Raises:
        UserError: There are fewer GPUs than are wanted.
    """
    names = gpus()
    if names and len(names) < count:
        raise UserError(f"gpus: found {count}; accepted: at most {len(names)}, which is what this job may use")
    waiting = False
    while True:
        taken: dict[str, int] = {}
        for name in names:
            file_name = f"facemill-gpu-{os.environ.get('SLURM_JOB_ID', '')}-{name.replace('/', '-')}.lock"
            path = Path(tempfile.gettempdir(), file_name)  # older drivers name parts MIG-GPU-<UUID>/1/0
            if len(taken) < count and (file := _lock(path)) is not None:
                taken[name] = file
        if len(taken) == count or not names:
            _held.extend(taken.values())
            if taken:
                os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(taken)
                log.info("runs on GPU %s", ", ".join(taken))
            return list(taken)
        for file in taken.values():  # or two jobs would wait for each other
            os.close(file)
        if not waiting:
            waiting = True
            log.info("waits for %s of %d GPUs", "one" if count == 1 else count, len(names))
        time.sleep(1)


def _lock(path: Path) -> int | None:
    """The file of a lock that this process now holds, or None; every user of the machine may lock it."""
    try:
        file = os.open(path, os.O_RDWR | os.O_NOFOLLOW)  # O_CREAT on another's file in /tmp is refused by the kernel
    except FileNotFoundError:
        file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CREAT, 0o666)
        os.fchmod(file, 0o666)
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    os.set_inheritable(file, True)  # kept by `facemill.workflow.launch`, which becomes another program
    return file
