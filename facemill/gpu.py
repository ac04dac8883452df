"""A GPU of its own for each job: on a workstation Snakemake counts GPUs but does not say which one a job has."""

import fcntl
import itertools
import logging
import os
import subprocess
import tempfile
import time
from itertools import takewhile
from pathlib import Path

log = logging.getLogger("facemill")

_NONE = ("", "-1", "NoDevFiles")
"""What CUDA_VISIBLE_DEVICES says for no device; CUDA reads no further."""

_held: list[int] = []


def gpus() -> list[str]:
    """The GPUs that this process may use, by the names in CUDA_VISIBLE_DEVICES, else by their UUIDs; [] without any.

    https://docs.nvidia.com/cuda/cuda-c-programming-guide/#cuda-environment-variables
    """
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return list(takewhile(lambda name: name not in _NONE, (name.strip() for name in visible.split(","))))
    query = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        return []


def take_gpu() -> None:
    """Waits for a GPU that no other job has and shows this process that one alone; does nothing where there is none.

    Call it before CUDA is touched. The process holds a record lock on a file that stands for the device; the kernel
    frees it however the process ends, and its children have no part in it. Slurm numbers the GPUs of each of its jobs
    anew, so that there the lock is the job's own.
    """
    names = gpus()
    for attempt in itertools.count():
        for name in names:
            if _lock(Path(tempfile.gettempdir(), f"facemill-gpu-{os.environ.get('SLURM_JOB_ID', '')}-{name}.lock")):
                os.environ["CUDA_VISIBLE_DEVICES"] = name
                log.info("runs on GPU %s", name)
                return
        if not names:
            return
        if attempt == 0:
            log.info("waits for one of %d GPUs", len(names))
        time.sleep(1)


def _lock(path: Path) -> bool:
    """Whether this process now holds the lock on a file, which every user of the machine may lock."""
    try:
        file = os.open(path, os.O_RDWR | os.O_NOFOLLOW)  # O_CREAT on another's file in /tmp is refused by the kernel
    except FileNotFoundError:
        file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CREAT, 0o666)
        os.fchmod(file, 0o666)
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return False
    _held.append(file)
    return True
