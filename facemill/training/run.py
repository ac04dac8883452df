"""Training runs: a folder, checkpoints, exact resume and curves.

Training is counted in images. Whatever is random in a step follows from the seed and the numbers of step and process,
so a run that was killed and resumed ends with the same weights as an uninterrupted one on the same machine, CUDA
kernels with nondeterministic summation order excepted.

Under `accelerate launch` several processes train together: each gets its part of every batch, gradients are averaged,
and only the first process writes.
"""

import csv
import io
import json
import math
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import reduce
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from facemill.errors import TrainingDiverged
from facemill.files import atomic_write, digest
from facemill.log import log, progress
from facemill.training.learner import Learner

CHECKPOINT_SECONDS = 60
CHECKPOINT_SHARE = 0.05
"""Largest share of the time that goes into checkpoints; where one takes long, it is made less often."""
CURVE_POINTS = 200
"""Points of the curves of a complete training."""
DIVERGENCE_FACTOR = 1000
"""A loss this many times its mean so far, or 1 where the mean is less, ends the training."""


class Run:
    """One training: `work/<name>-<settings and inputs>-<code>/` holds its checkpoint and TensorBoard curves.

    Iterate over `steps()`; call `record` with the step's losses; call `finish` when the model is saved. The same
    command resumes from the last checkpoint. The environment variable FACEMILL_CODE holds the digest of the code that
    trains: a run does not resume from a checkpoint of other code.

    Attributes:
        step: steps that are done.
        extra_metrics: columns of the curves that keep their value until it is changed; checkpoints hold them.
        stop_requested: set it to make the present step the last one.

    Args:
        name: the first part of the folder's name, and the prefix of log lines.
        settings_key: what the training depends on besides its inputs and code; JSON-serializable.
        inputs: files whose contents the training depends on.
        learners: the networks in training, with their optimizers.
        modules: further modules whose state belongs to the training.
    """

    def __init__(
        self,
        name: str,
        settings_key: dict[str, Any],
        inputs: Sequence[Path],
        learners: Mapping[str, Learner],
        modules: Mapping[str, nn.Module] | None = None,
    ) -> None:
        self.name = name
        self.modules = dict(modules or {})
        for learner_name, learner in learners.items():
            self.modules |= {f"{learner_name}/{part}": module for part, module in learner.modules.items()}
        self.optimizers = {learner_name: learner.optimizer.optimizer for learner_name, learner in learners.items()}
        self.step = 0
        self.curves: list[dict[str, float]] = []
        self.extra_metrics: dict[str, float] = {}
        self.stop_requested = False
        self._sums: dict[str, Tensor] = {}
        self._summed = 0
        self._state = PartialState()
        prefix, code = f"{name}-{digest(settings_key, inputs)}", os.environ.get("FACEMILL_CODE", "")[:8]
        self.folder = Path("work") / (f"{prefix}-{code}" if code else prefix)
        self._checkpoint = self.folder / "checkpoint.safetensors"
        if self._checkpoint.exists():
            self._load()
        else:
            for outdated in sorted(Path("work").glob(f"{prefix}*/{self._checkpoint.name}")):
                folder = outdated.parent
                log.info("%s: the checkpoint in %s was made by other code; restarts from scratch", name, folder)
        self._state.wait_for_everyone()
        self._board = SummaryWriter(self.folder, purge_step=self.step) if self._state.is_main_process else None

    def steps(self, images: int, batch: int, seed: int) -> Iterator[int]:
        """Yields the numbers of the remaining steps; seeds torch before each, in each process otherwise.

        Every process thus draws its own noise and augmentation of its part of the batch; the weights, which are drawn
        before, are the same in all. Saves a checkpoint every `CHECKPOINT_SECONDS`, and on SIGTERM and Ctrl-C, which end
        the process.

        Args:
            images: images of the complete training.
            batch: images of a step, those of all processes together.
            seed: together with the step's number it seeds the step.
        """
        total, self._batch = math.ceil(images / batch), batch
        received: list[int] = []
        signals = (signal.SIGTERM, signal.SIGINT)
        handlers = [signal.signal(number, lambda number, frame: received.append(number)) for number in signals]
        due = time.monotonic() + CHECKPOINT_SECONDS
        for step in progress(range(self.step, total), self.name, total * batch, done=self.step * batch, step=batch):
            torch.manual_seed(seed * 1_000_003 + step + (self._state.process_index << 40))
            yield step
            self.step = step + 1
            if self.stop_requested or self.step == total or self.step % max(total // CURVE_POINTS, 1) == 0:
                self._add_point(self.step * batch)
            if self.stop_requested:
                break
            stopped, saves = self._in_any_process(bool(received), time.monotonic() > due)
            if stopped or saves:
                start = time.monotonic()
                self._save()
                due = (end := time.monotonic()) + max(CHECKPOINT_SECONDS, (end - start) / CHECKPOINT_SHARE)
            if stopped:
                log.info("%s: stopped at %d images; the same command resumes from here", self.name, self.step * batch)
                self._state.destroy_process_group()
                sys.exit(128 + (received or [signal.SIGTERM])[0])
        for number, handler in zip(signals, handlers, strict=True):
            signal.signal(number, handler)
        self._state.destroy_process_group()

    def _in_any_process(self, *conditions: bool) -> list[bool]:
        """Whether conditions hold in any process: processes wait for each other, so all stop after the same step."""
        if self._state.num_processes == 1:
            return list(conditions)
        counts = reduce(torch.tensor(conditions, dtype=torch.float, device=self._state.device), "sum")
        return [count > 0 for count in counts.tolist()]

    def record(self, **losses: Tensor) -> None:
        """Adds a step's losses (scalars) to the curve's next point, which holds their means."""
        for name, loss in losses.items():
            self._sums[name] = self._sums[name] + loss.detach() if name in self._sums else loss.detach()
        self._summed += 1

    def _average_sums(self) -> None:
        if self._state.num_processes > 1:
            self._sums = {name: reduce(total, "mean") for name, total in self._sums.items()}

    def _add_point(self, images: int) -> None:
        self._average_sums()
        point = self._means(images) | self.extra_metrics
        self._sums, self._summed = {}, 0
        self.curves.append({"images": images} | point)
        if self._board:
            for name, value in point.items():
                self._board.add_scalar(f"{self.name}/{name}", value, images)

    def _means(self, images: int) -> dict[str, float]:
        """The mean losses since the last point; raises `TrainingDiverged` when one is not finite or far too high."""
        means = {name: float(total) / self._summed for name, total in self._sums.items()}
        for name, value in means.items():
            before = [abs(point[name]) for point in self.curves]
            limit = DIVERGENCE_FACTOR * max(1.0, sum(before) / len(before)) if before else math.inf
            if not abs(value) < limit:  # NaN is not less than anything
                raise TrainingDiverged(
                    f"{self.name}: {name} is {value:g} after {images} images; lower the learning rate "
                    f"(a checkpoint from before is in {self.folder})"
                )
        return means

    def _save(self) -> None:
        """Writes a checkpoint in the first process; the others wait, since the first that ends takes all with it."""
        self._average_sums()
        self._means(self.step * self._batch)  # raises rather than write a checkpoint of a diverged training
        if self._state.is_main_process:
            self._write()
        self._state.wait_for_everyone()

    def _write(self) -> None:
        state: dict[str, Tensor] = {}
        for name, module in self.modules.items():
            state |= {f"module/{name}/{key}": value for key, value in module.state_dict().items()}
        for name, optimizer in self.optimizers.items():
            for index, values in optimizer.state_dict()["state"].items():
                state |= {f"optimizer/{name}/{index}/{key}": torch.as_tensor(value) for key, value in values.items()}
        state |= {f"sum/{name}": value for name, value in self._sums.items()}
        metadata = {"step": str(self.step), "summed": str(self._summed), "curves": json.dumps(self.curves)}
        metadata |= {"extra_metrics": json.dumps(self.extra_metrics), "losses": json.dumps([*self._sums])}
        with atomic_write(self._checkpoint) as tmp:
            save_file({key: _plain_copy(tensor) for key, tensor in state.items()}, tmp, metadata)

    def _load(self) -> None:
        try:
            with safe_open(self._checkpoint, "pt") as file:
                metadata, state = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            log.warning("%s: the checkpoint is damaged (%s); restarts from scratch", self.name, error)
            return
        for name, module in self.modules.items():
            module.load_state_dict(_with_prefix(state, f"module/{name}/"))
        for name, optimizer in self.optimizers.items():
            values: dict[int, dict[str, Tensor]] = {}
            for key, tensor in _with_prefix(state, f"optimizer/{name}/").items():
                index, slot = key.split("/")
                values.setdefault(int(index), {})[slot] = tensor
            optimizer.load_state_dict(optimizer.state_dict() | {"state": values})
            for weight, slots in optimizer.state.items():
                # fused optimizers walk weights and moments in memory order: both must be channels_last, or neither
                slots |= {k: torch.empty_like(weight).copy_(v) for k, v in slots.items() if v.shape == weight.shape}
        self._sums = {name: state[f"sum/{name}"] for name in json.loads(metadata["losses"])}  # the curves' columns
        self._summed = int(metadata["summed"])
        self.step, self.curves = int(metadata["step"]), json.loads(metadata["curves"])
        self.extra_metrics = json.loads(metadata["extra_metrics"])
        log.info("%s: resumes after step %d", self.name, self.step)

    def finish(self, curves: Path) -> None:
        """Writes the curves as CSV and removes the checkpoint; for the first process, after the model is saved."""
        text = io.StringIO()
        writer = csv.DictWriter(text, self.curves[-1].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: f"{value:.6g}" for name, value in point.items()} for point in self.curves)
        with atomic_write(curves) as tmp:
            tmp.write_text(text.getvalue())
        if self._board:
            self._board.close()
        self._checkpoint.unlink(missing_ok=True)


def _plain_copy(tensor: Tensor) -> Tensor:
    """A contiguous copy on the CPU: safetensors takes no other layout, and no memory that tensors share."""
    return tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)


def _with_prefix(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries whose key has the prefix, without it."""
    return {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}
