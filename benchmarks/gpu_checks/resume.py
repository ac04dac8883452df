"""Each training killed by a real SIGKILL in its middle, and resumed: it ends with the weights of one that was not.

All trainings run side by side. Their processes are forked from a server that has imported everything and touched no
GPU, so that a start takes no seconds. On the processor a resumed training must end with the very bytes; CUDA's sums
have no fixed order, so there its distance to an uninterrupted one is compared with that of two uninterrupted ones.
"""

import faulthandler
import functools
import math
import multiprocessing
import os
import signal
import sys
import tempfile
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from unittest import mock

import torch
from safetensors.torch import load_file
from torch import Tensor

from facemill.training import run as run_module
from facemill.training.run import Run
from gpu_checks import Context, Report, check
from gpu_checks.comparison import relative
from gpu_checks.trainings import TRAININGS

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])
os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"  # else to ask for a GPU would keep the server from forking

STEPS, BATCH = (20, 6), 4
"""Length of a training in steps, on a GPU and in a dry run, and images of a step: some 20 share a GPU's memory."""

TOLERANCE = 3
"""Bar on CUDA: the distance of two uninterrupted trainings times this."""


@dataclass
class Trial:
    """A training's processes: uninterrupted, again uninterrupted where there is a GPU, interrupted, and resumed.

    Attributes:
        training: key of `TRAININGS`.
        by: the signal that interrupts it.
        context: what the check is given.
        folder: its folder; the interrupted and the resumed process train in the same one below it.
        processes: by what they do.
    """

    training: str
    by: signal.Signals
    context: Context
    folder: Path
    processes: dict[str, ForkServerProcess] = field(default_factory=dict)

    @property
    def middle(self) -> int:
        """The step after which the interrupted training has its last checkpoint."""
        return self.context.pick(*STEPS) // 2 - 1

    def start(self, role: str) -> None:
        """Starts a process."""
        folder = self.folder / role.replace("resumed", "interrupted")
        folder.mkdir(parents=True, exist_ok=True)
        stop = (self.middle, self.by) if role == "interrupted" else None
        arguments = (self.context, self.training, folder, self.folder / f"{role}.log", stop)
        self.processes[role] = PROCESSES.Process(target=train, args=arguments)  # not a daemon: loaders have workers
        self.processes[role].start()

    def wait(self, role: str, status: int = 0) -> None:
        """Waits for the end of a process. Raises `RuntimeError` when it ends with another exit status."""
        process = self.processes[role]
        process.join(max(0, self.context.seconds_left - 5))
        if process.exitcode != status:
            log = (self.folder / f"{role}.log").read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{role}: exit status {process.exitcode}, not {status}\n{log}")

    def distance(self, role: str, other: str) -> float:
        """The distance between the models of two processes, as a share of the other's length."""
        model, expected = (load_file(self.folder / name / "model.safetensors") for name in (role, other))
        return relative([model[key].float() for key in expected], [tensor.float() for tensor in expected.values()])


def train(context: Context, training: str, folder: Path, log: Path, stop: tuple[int, int] | None) -> None:
    """Trains in a process of its own, to its end or to the step and signal `stop`.

    A SIGKILL comes in the next step, after checkpoints of all steps before.
    """
    os.chdir(folder)
    with log.open("w") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
    faulthandler.dump_traceback_later(max(1, context.seconds_left - 7))
    os.nice(10)  # the networks on the processor, with which CUDA is compared meanwhile, wait for their slowest thread
    processors = sorted(os.sched_getaffinity(0))
    index = os.getpid() % len(processors)
    os.sched_setaffinity(0, {processors[index], processors[index - 1]})  # a loader has a worker for each
    torch.set_num_threads(1)
    steps, record = context.pick(*STEPS), Run.record
    first_step, kills = log.with_suffix(".step"), stop is not None and stop[1] == signal.SIGKILL

    def record_and_stop(run: Run, **losses: Tensor) -> None:
        record(run, **losses)
        if not first_step.exists():
            first_step.write_text(str(run.step))
        if stop and run.step == stop[0] + kills:
            os.kill(os.getpid(), stop[1])

    if kills:
        run_module.CHECKPOINT_SECONDS, run_module.CHECKPOINT_SHARE = 0, math.inf
    with mock.patch.object(Run, "record", record_and_stop):
        TRAININGS[training](context, folder, steps * BATCH, BATCH)


@functools.cache
def trials(context: Context) -> dict[str, Trial]:
    """Starts all processes, each resumed one as soon as the interrupted one has ended."""
    folder = Path(tempfile.mkdtemp(dir=context.work))
    signals = dict.fromkeys(TRAININGS, signal.SIGKILL)
    started = {name: Trial(name, by, context, folder / name) for name, by in signals.items()}
    started["sigterm"] = Trial("unet_v1", signal.SIGTERM, context, folder / "sigterm")
    roles = ["interrupted", "uninterrupted", *(["again"] if context.device.type == "cuda" else [])]
    for trial in started.values():
        for role in roles:
            trial.start(role)
    for trial in started.values():
        trial.processes["interrupted"].join(max(0, context.seconds_left - 6))
        trial.start("resumed")
    return started


def prove(name: str, context: Context, report: Report) -> None:
    """Compares a resumed training with an uninterrupted one."""
    trial = trials(context)[name]
    trial.wait("interrupted", -trial.by if trial.by == signal.SIGKILL else 128 + trial.by)
    for role in trial.processes.keys() - {"interrupted"}:
        trial.wait(role)
    report.bar("resumed_at_step", int((trial.folder / "resumed.step").read_text()), at_least=trial.middle + 1)
    bar = 0.0
    if "again" in trial.processes:
        usual = trial.distance("again", "uninterrupted")
        report.figure("distance_of_uninterrupted", usual)
        bar = TOLERANCE * usual + 1e-6
    report.bar("distance", trial.distance("interrupted", "uninterrupted"), at_most=bar)
    curves = [(trial.folder / role / "curves.csv").read_bytes() for role in ("interrupted", "uninterrupted")]
    if "again" not in trial.processes:
        report.bar("same_curves", float(curves[0] == curves[1]), at_least=1)


for _name in [*TRAININGS, "sigterm"]:
    check("resume", _name)(functools.partial(prove, _name))
