"""What every training shares: a folder of its own, checkpoints, exact resume, curves, EMA weights.

Training is counted in images. Whatever is random in a step follows from the seed and the step's number, so a run that
was killed and resumed ends with the same weights as one that was not (on the same machine; CUDA kernels that add in
changing order are the exception).

Under `accelerate launch` several processes train together: each has its part of every batch, their gradients are
averaged, and the first one alone writes.
"""

import copy
import csv
import io
import json
import math
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import DataLoaderConfiguration, reduce
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.tensorboard import SummaryWriter

from facemill.errors import UserError
from facemill.files import atomic_write, digest
from facemill.log import log, progress
from facemill.networks.store import bf16, keep_freed_memory

CHECKPOINT_SECONDS = 60
LINES = 200
"""Lines in the curves of a whole training."""
DIVERGED = 1000
"""How many times its mean so far, or 1 where that is less, a loss must be to end the training."""


class Run:
    """One training: `work/<name>-<hash of settings and inputs>/` holds its checkpoint and TensorBoard curves.

    Give it every module and optimizer whose state belongs to the training; iterate over `steps()`; call `record` with
    the step's losses; call `finish` when the model is saved. The same command again resumes from the last checkpoint.
    What `kept` holds is shown on every line of the curves until it changes, and saved with each checkpoint. Set `ended`
    to make the present step the last one.
    """

    def __init__(
        self,
        name: str,
        settings: dict[str, Any],
        inputs: Sequence[Path],
        modules: Mapping[str, nn.Module],
        optimizers: Mapping[str, Optimizer],
    ) -> None:
        self.name = name
        self.folder = Path("work") / f"{name}-{digest(settings, inputs)}"
        self.modules, self.optimizers = modules, optimizers
        self.step = 0
        self.curves: list[dict[str, float]] = []
        self.kept: dict[str, float] = {}
        self.ended = False
        self._sums: dict[str, Tensor] = {}
        self._summed = 0
        self._state = PartialState()
        self._checkpoint = self.folder / "checkpoint.safetensors"
        if self._checkpoint.exists():
            self._load()
        self._state.wait_for_everyone()
        self._board = SummaryWriter(self.folder, purge_step=self.step) if self._state.is_main_process else None

    def steps(self, images: int, batch: int, seed: int) -> Iterator[int]:
        """Yields the numbers of the steps that are left, seeding each; saves on a clock, on SIGTERM and on Ctrl-C."""
        total, self._batch = math.ceil(images / batch), batch
        stop: list[int] = []
        signals = (signal.SIGTERM, signal.SIGINT)
        before = [signal.signal(number, lambda number, frame: stop.append(number)) for number in signals]
        saved = time.monotonic()
        for step in progress(range(self.step, total), self.name, total * batch, done=self.step * batch, step=batch):
            torch.manual_seed(seed * 1_000_003 + step)
            yield step
            self.step = step + 1
            if self.ended or self.step == total or self.step % max(total // LINES, 1) == 0:
                self._write_line(self.step * batch)
            if self.ended:
                break
            stopped = self._anyone(bool(stop))
            if self._state.is_main_process and (stopped or time.monotonic() - saved > CHECKPOINT_SECONDS):
                self._save()
                saved = time.monotonic()
            if stopped:
                log.info("%s: stopped at %d images; the same command goes on from here", self.name, self.step * batch)
                sys.exit(128 + (stop or [signal.SIGTERM])[0])
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)

    def _anyone(self, here: bool) -> bool:
        """Whether it is so in any process: all must stop after the same step, since they wait for each other."""
        if self._state.num_processes == 1:
            return here
        return bool(reduce(torch.tensor(float(here), device=self._state.device), "sum"))

    def record(self, **losses: Tensor) -> None:
        """Adds a step's losses (scalars) to the curve's next line, which shows their means."""
        for name, loss in losses.items():
            self._sums[name] = self._sums.get(name, 0) + loss.detach()
        self._summed += 1

    def _write_line(self, images: int) -> None:
        if self._state.num_processes > 1:
            self._sums = {name: reduce(total, "mean") for name, total in self._sums.items()}
        line = self._means(images) | self.kept
        self._sums, self._summed = {}, 0
        self.curves.append({"images": images} | line)
        for name, value in line.items() if self._board else ():
            self._board.add_scalar(f"{self.name}/{name}", value, images)

    def _means(self, images: int) -> dict[str, float]:
        """The mean losses since the last line; raises `UserError` where one is not finite or far above all before."""
        means = {name: float(total) / self._summed for name, total in self._sums.items()}
        for name, value in means.items():
            before = [abs(line[name]) for line in self.curves]
            most = DIVERGED * max(1.0, sum(before) / len(before)) if before else math.inf
            if not abs(value) < most:  # NaN is not less than anything
                raise UserError(
                    f"{self.name}: {name} is {value:g} after {images} images; lower the learning rate "
                    f"(a checkpoint from before is in {self.folder})"
                )
        return means

    def _save(self) -> None:
        self._means(self.step * self._batch)  # a checkpoint is good, or not written
        state: dict[str, Tensor] = {}
        for name, module in self.modules.items():
            state |= {f"module/{name}/{key}": value for key, value in module.state_dict().items()}
        for name, optimizer in self.optimizers.items():
            for index, values in optimizer.state_dict()["state"].items():
                state |= {f"optimizer/{name}/{index}/{key}": torch.as_tensor(value) for key, value in values.items()}
        state |= {f"sum/{name}": value for name, value in self._sums.items()}
        state = {key: value.detach().cpu().clone(memory_format=torch.contiguous_format) for key, value in state.items()}
        about = {"step": str(self.step), "summed": str(self._summed), "curves": json.dumps(self.curves)}
        about["kept"] = json.dumps(self.kept)
        with atomic_write(self._checkpoint) as tmp:
            save_file(state, tmp, about)

    def _load(self) -> None:
        try:
            with safe_open(self._checkpoint, "pt") as file:
                about, state = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            log.warning("%s: the checkpoint is damaged (%s); begins anew", self.name, error)
            return
        for name, module in self.modules.items():
            module.load_state_dict(_below(state, f"module/{name}/"))
        for name, optimizer in self.optimizers.items():
            values: dict[int, dict[str, Tensor]] = {}
            for key, tensor in _below(state, f"optimizer/{name}/").items():
                index, slot = key.split("/")
                values.setdefault(int(index), {})[slot] = tensor
            optimizer.load_state_dict(optimizer.state_dict() | {"state": values})
            for weight, slots in optimizer.state.items():
                # fused optimizers walk weights and moments in memory order: both must be channels_last, or neither
                slots |= {k: torch.empty_like(weight).copy_(v) for k, v in slots.items() if v.shape == weight.shape}
        self._sums, self._summed = _below(state, "sum/"), int(about["summed"])
        self.step, self.curves = int(about["step"]), json.loads(about["curves"])
        self.kept = json.loads(about["kept"])
        log.info("%s: goes on after step %d", self.name, self.step)

    def finish(self, curves: Path) -> None:
        """Writes the curves as CSV and removes the checkpoint: for the first process, when the model is saved."""
        text = io.StringIO()
        writer = csv.DictWriter(text, self.curves[-1].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: f"{value:.6g}" for name, value in line.items()} for line in self.curves)
        with atomic_write(curves) as tmp:
            tmp.write_text(text.getvalue())
        self._board.close()
        self._checkpoint.unlink(missing_ok=True)


def _below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}


def ema_of(network: nn.Module) -> nn.Module:
    """A copy of the network that will hold the exponential moving average of its weights."""
    return copy.deepcopy(network).eval().requires_grad_(False)


@torch.no_grad()
def update_ema(ema: nn.Module, network: nn.Module, decay: float) -> None:
    """Moves the average towards the network's weights; buffers are copied."""
    torch._foreach_lerp_(list(ema.parameters()), list(network.parameters()), 1 - decay)
    for average, value in zip(ema.buffers(), network.buffers(), strict=True):
        average.copy_(value)


def rising_decay(step: int, decay: float = 0.998) -> float:
    """The average's decay at a step of a training from scratch: less in the first ones, whose weights are soon old."""
    return min(decay, (1 + step) / (10 + step))


def warm_cosine(step: int, total: int, warm: float = 0.05) -> float:
    """The learning rate's factor at a step: a linear rise over the first `warm` of them, then a half cosine to 0."""
    rise = max(1, round(warm * total))
    return (step + 1) / rise if step < rise else 0.5 + 0.5 * math.cos(math.pi * (step - rise) / max(1, total - rise))


def set_rate(optimizer: Optimizer, rate: float) -> None:
    """Sets the learning rate of all parameter groups."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def accelerator() -> Accelerator:
    """Accelerate's device, process and precision handling: bfloat16 where it is fast, float32 elsewhere.

    A batch is that of all processes together.
    """
    keep_freed_memory()
    return Accelerator(
        mixed_precision="bf16" if bf16() else "no",
        cpu=not torch.cuda.is_available(),
        dataloader_config=DataLoaderConfiguration(split_batches=True),
    )


def prepared(accelerate: Accelerator, network: nn.Module) -> nn.Module:
    """The network on this process's device, in its precision.

    Of several processes each has it as it is, and `average_gradients` keeps them alike: DistributedDataParallel does
    not bear that a step calls a network with spectral norm more than once. Batch norm sees all GPUs' images.
    """
    if accelerate.num_processes > 1 and accelerate.device.type == "cuda":
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    return accelerate.prepare_model(network, evaluation_mode=True)


def average_gradients(network: nn.Module, accelerate: Accelerator) -> None:
    """Makes the gradients of all processes their mean; to be called between `backward` and the optimizer's step."""
    if accelerate.num_processes == 1:
        return
    gradients = [weight.grad for weight in network.parameters() if weight.grad is not None]
    mean = accelerate.reduce(torch.cat([gradient.flatten() for gradient in gradients]), "mean")
    for gradient, part in zip(gradients, mean.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))
