"""Checks of everything that runs on a GPU: what a check is given, what it reports, and where it is registered.

A stage adds itself with one function: a training to `trainings.py` (it is then killed and resumed, and timed), any
other check to `correctness.py`, `speed.py` or `chain.py`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from facemill.networks.device import device


@dataclass(frozen=True)
class Data:
    """The folder that `gpu_data.py` writes: shards of portraits of one size, and pretrained weights where given."""

    folder: Path

    @property
    def train(self) -> Path:
        """Shard of augmented labelled portraits."""
        return self.folder / "train.parquet"

    @property
    def validation(self) -> Path:
        """Shard of labelled portraits that are not among those of `train`."""
        return self.folder / "validation.parquet"

    @property
    def portraits(self) -> list[Path]:
        """Shards of unlabelled portraits."""
        return sorted(self.folder.glob("portraits-*.parquet"))

    @property
    def encoder_weights(self) -> Path | None:
        """ImageNet's MobileNetV2, a safetensors file."""
        return self._given("encoder.safetensors")

    @property
    def vgg_weights(self) -> Path | None:
        """ImageNet's VGG16 with LPIPS's heads, a safetensors file."""
        return self._given("vgg.safetensors")

    def _given(self, name: str) -> Path | None:
        return self.folder / name if (self.folder / name).exists() else None


@dataclass(frozen=True)
class Context:
    """What a check is given.

    Attributes:
        data: portraits, labels and weights.
        out: folder of pictures that are shown to people.
        work: folder for everything else; the present folder, in which trainings make `work/`.
        dry: whether to run at tiny sizes, as on a machine without a GPU: nothing is timed in earnest.
        deadline: when the check must have ended, in seconds of `time.time`.
    """

    data: Data
    out: Path
    work: Path
    dry: bool
    deadline: float

    @property
    def device(self) -> torch.device:
        """The GPU, or the processor without one."""
        return device()

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.time()

    def pick(self, full: Any, dry: Any) -> Any:
        """A size for a GPU, or its tiny counterpart."""
        return dry if self.dry else full


def synchronize() -> None:
    """Waits for the GPU, if this process has used one."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


@dataclass
class Report:
    """Figures of a check, and the bars that it missed.

    Attributes:
        figures: numbers and texts by name, JSON-serializable.
        missed: a sentence for each bar that is missed.
    """

    figures: dict[str, Any] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)

    def figure(self, name: str, value: Any) -> None:
        """Notes a figure without a bar."""
        self.figures[name] = value

    def bar(self, name: str, value: float, *, at_most: float | None = None, at_least: float | None = None) -> None:
        """Notes a figure, and whether it is within its bar; NaN is not."""
        self.figures[name] = value
        if at_most is not None and not value <= at_most:
            self.missed.append(f"{name} is {value:.4g}; the bar is at most {at_most:g}")
        if at_least is not None and not value >= at_least:
            self.missed.append(f"{name} is {value:.4g}; the bar is at least {at_least:g}")


Check = Callable[[Context, Report], None]

GROUPS: dict[str, dict[str, Check]] = {"correctness": {}, "resume": {}, "speed": {}, "chain": {}}
"""The checks of each group, which is a module here, by name and in the order in which they run."""


def check(group: str, name: str | None = None) -> Callable[[Check], Check]:
    """Registers a check in a group, under a name or its function's."""

    def register(function: Check) -> Check:
        GROUPS[group][name or function.__name__] = function
        return function

    return register
