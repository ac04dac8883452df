"""Seconds, memory and operations of what runs on a GPU."""

import gc
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from gpu_checks import Context, Report, synchronize

WARM_UP, LATENCIES = 5, 50
"""Calls before, and behind, a latency."""


def release_memory() -> None:
    """Frees the GPU's memory that nothing holds, and counts its peak anew."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_gb() -> float | None:
    """The most memory of the GPU that tensors have had at once, in GB, since `release_memory`."""
    return torch.cuda.max_memory_allocated() / 1e9 if torch.cuda.is_available() else None


def median_seconds(context: Context, call: Callable[[], object], calls: int = 2) -> float:
    """Median seconds of a call: of turns of some calls, less the first, in an eightieth of the time left or three."""
    spent: list[float] = []
    calls, least, most = context.pick((calls, 3, 50), (1, 2, 2))
    end = time.monotonic() + context.seconds_left / 80
    while len(spent) < least or (len(spent) < most and time.monotonic() < end):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        synchronize()
        spent.append((time.perf_counter() - start) / calls)
    return statistics.median(spent[1:])


class Step(NamedTuple):
    """A training step's speed."""

    images_per_second: float
    peak_gpu_gb: float | None
    batch: int


def step_of(context: Context, build: Callable[[int], Callable[[], object]], batch: int) -> Step:
    """The speed of a step with a batch, or a half or a quarter of it where memory does not suffice for more."""
    for images in (batch, batch // 2, batch // 4):
        release_memory()
        try:
            return Step(images / median_seconds(context, build(images)), peak_gb(), images)
        except RuntimeError as error:  # of torch, or of cuDNN, which then has no algorithm to offer
            if not isinstance(error, torch.OutOfMemoryError) and "find an engine" not in str(error):
                raise
    raise torch.OutOfMemoryError(f"not even a batch of {batch // 4} fits")


def report_latency(context: Context, report: Report, name: str, call: Callable[[], object]) -> None:
    """Notes the median and the 95th percentile of the milliseconds of a call that waits for the GPU."""
    spent = []
    for _ in range(context.pick(WARM_UP + LATENCIES, WARM_UP + 1)):
        start = time.perf_counter()
        call()
        spent.append(1000 * (time.perf_counter() - start))
    median, high = np.percentile(spent[WARM_UP:], [50, 95])
    report.figure(f"{name}_median_ms", float(median))
    report.figure(f"{name}_95th_percentile_ms", float(high))


def operations(compute: Callable[[], object]) -> float:
    """The floating-point operations of a computation."""
    with FlopCounterMode(display=False) as counter:
        compute()
    return float(counter.get_total_flops())
