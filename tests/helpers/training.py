"""Trainings that get a SIGTERM in the middle, as from a cluster whose time is up; an Accelerator in float32."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import pytest
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor

from facemill.training.run import Run


@contextmanager
def sigterm_in_step(step: int) -> Iterator[None]:
    """The training in this block gets a SIGTERM in a step, and exits."""
    record = Run.record

    def record_and_stop(run: Run, **losses: Tensor) -> None:
        record(run, **losses)
        if run.step == step:
            os.kill(os.getpid(), signal.SIGTERM)

    with mock.patch.object(Run, "record", record_and_stop), pytest.raises(SystemExit):
        yield


@pytest.fixture
def accelerator() -> Iterator[Accelerator]:
    """An Accelerator in float32 on the CPU; a process has one precision, so other tests' is put back."""
    AcceleratorState._reset_state(True)
    yield Accelerator(mixed_precision="no", cpu=True)
    AcceleratorState._reset_state(True)
