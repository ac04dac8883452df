"""Trainings beside a busy neighbor: a process of equal priority that spins on one of the cores.

    python benchmarks/neighbor.py --portraits results/sample/augmented/train.parquet [--seconds 3] [--rounds 5]

A step of each of the sample's trainings (U-Net v3, VAE, GauGAN), as `training.py` has them, alone, then beside a
process that this one starts: with a thread for each core, as workflows run it on two; the same with threads that sleep
where they wait (`OMP_WAIT_POLICY=passive`); and with one thread. Each way is a process of its own, and all take turns.
On a machine that does other work all figures are too low.

The last line is JSON: `share_beside_neighbor`, the least over the trainings of the speed beside the neighbor over the
speed alone, and `one_thread`, the least speed of one thread beside the neighbor over that of all threads alone.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cyclopts
from training import TRAININGS, resized_shard

from facemill.training.optimization import make_accelerator

ROOT = Path(__file__).parents[1]
CORES = len(os.sched_getaffinity(0))
WAYS = {
    "all threads": {"OMP_NUM_THREADS": str(CORES)},
    "that sleep": {"OMP_NUM_THREADS": str(CORES), "OMP_WAIT_POLICY": "passive"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
"""Settings of OpenMP."""
SPIN = [sys.executable, "-c", "while True: pass"]
SIZE = 128
"""Pixels of the portraits, as in the sample."""


def main(portraits: Path, seconds: float = 3, rounds: int = 5) -> None:
    """Times all trainings on a shard of portraits with masks, a turn of `seconds` each."""
    shares: dict[str, list[float]] = {"share_beside_neighbor": [], "one_thread": []}
    for name in TRAININGS:
        jobs = {way: start(name, portraits, settings) for way, settings in WAYS.items()}
        alone, beside = ({way: [] for way in WAYS} for _ in range(2))
        for _ in range(rounds):
            for way, job in jobs.items():
                alone[way].append(turn(job, seconds))
                with neighbor():
                    beside[way].append(turn(job, seconds))
        for job in jobs.values():
            job.stdin.close()
            job.wait()
        quiet, shared = ({way: statistics.median(side[way]) for way in WAYS} for side in (alone, beside))
        for way in WAYS:
            print(f"{name:7} {way}: alone {quiet[way]:5.1f} steps/s, beside a neighbor {shared[way]:5.1f}", flush=True)
        shares["share_beside_neighbor"].append(shared["all threads"] / quiet["all threads"])
        shares["one_thread"].append(shared["one thread"] / quiet["all threads"])
    print(json.dumps({key: round(min(values), 2) for key, values in shares.items()} | {"load": os.getloadavg()[0]}))


def start(name: str, portraits: Path, settings: dict[str, str]) -> subprocess.Popen:
    """A process that has built a training and taken some steps, with settings of OpenMP."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_"))}
    command = [sys.executable, __file__, "train", name, str(portraits)]
    environment |= {"PYTHONPATH": str(ROOT)} | settings
    job = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    assert job.stdout.readline() == "ready\n"
    return job


def turn(job: subprocess.Popen, seconds: float) -> float:
    """Steps per second of a training that takes steps for so long."""
    job.stdin.write(f"{seconds}\n")
    job.stdin.flush()
    return float(job.stdout.readline())


@contextmanager
def neighbor() -> Iterator[None]:
    """A process that spins as long as the block lasts."""
    process = subprocess.Popen(SPIN)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def train(name: str, portraits: Path) -> None:
    """Takes steps for each number of seconds on the standard input, and prints how many there were in a second."""
    with tempfile.TemporaryDirectory() as folder:
        shard = resized_shard(portraits, Path(folder) / "portraits.parquet", SIZE)
        _, take_step = TRAININGS[name](make_accelerator(), shard)
        for _ in range(5):
            take_step()
        print("ready", flush=True)
        for line in sys.stdin:
            steps, begin = 0, time.perf_counter()
            while (passed := time.perf_counter() - begin) < float(line):
                take_step()
                steps += 1
            print(steps / passed, flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["train", name, portraits]:
            train(name, Path(portraits))
        case _:
            cyclopts.run(main)
