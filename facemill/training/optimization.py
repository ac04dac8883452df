"""Pieces of an optimizer's step: the EMA of weights, learning-rate schedules, and gradients of several GPUs."""

import copy
import math
from typing import TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration
from torch import Tensor, nn
from torch.optim import Optimizer

from facemill.networks.device import bf16, keep_freed_memory

Network = TypeVar("Network", bound=nn.Module)


def make_accelerator() -> Accelerator:
    """Accelerate's device, process and precision handling: bfloat16 where it is fast, float32 elsewhere.

    A batch of the data loader is the global batch, which is split among the processes, and copied to the GPU while the
    GPU works on the one before. Side effect on the CPU: glibc's `mallopt` is called, for the whole process
    (`keep_freed_memory`).
    """
    cuda = torch.cuda.is_available()
    if not cuda:
        keep_freed_memory()
    return Accelerator(
        mixed_precision="bf16" if bf16() else "no",
        cpu=not cuda,
        dataloader_config=DataLoaderConfiguration(split_batches=True, non_blocking=True),
    )


def wrap(accelerator: Accelerator, network: Network) -> Network:
    """The network on this process's device, in its precision; batch norm is synchronized among GPUs.

    DistributedDataParallel is not used, since it forbids a step that calls a network with spectral norm more than
    once: every process has the plain network, and `average_gradients` keeps the copies equal.
    """
    if accelerator.num_processes > 1 and accelerator.device.type == "cuda":
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    return accelerator.prepare_model(network, evaluation_mode=True)


def average_gradients(network: nn.Module, accelerator: Accelerator) -> None:
    """Replaces each gradient by its mean over all processes; call between `backward` and the optimizer's step."""
    if accelerator.num_processes == 1:
        return
    gradients = [weight.grad for weight in network.parameters() if weight.grad is not None]
    mean = accelerator.reduce(torch.cat([gradient.flatten() for gradient in gradients]), "mean")
    for gradient, averaged in zip(gradients, mean.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(averaged.view_as(gradient))


def make_ema(network: Network) -> Network:
    """A copy of the network for the exponential moving average (EMA) of its weights."""
    return copy.deepcopy(network).eval().requires_grad_(False)


def ema_decay(step: int, decay: float) -> float:
    """The decay of the EMA at a step: it rises to `decay`, since the weights of the first steps are soon outdated."""
    return min(decay, (1 + step) / (10 + step))


@torch.no_grad()
def update_ema(ema: nn.Module, network: nn.Module, decay: float) -> None:
    """Moves the average toward the network's weights and the statistics of its batch norms; other buffers are copied.

    The network's statistics are means over some ten batches, as its weights move; those of the EMA are as slow as its
    weights. The vectors of spectral norm are copied: they belong to the singular values of the latest weights, and a
    mean of unit vectors has another length.
    """
    averages: list[Tensor] = [*ema.parameters()]
    values: list[Tensor] = [*network.parameters()]
    for (name, average), value in zip(ema.named_buffers(), network.buffers(), strict=True):
        if name.endswith(("running_mean", "running_var")):
            averages.append(average)
            values.append(value)
        else:
            average.copy_(value)
    torch._foreach_lerp_(averages, values, 1 - decay)


def cosine_with_warmup(step: int, total: int, warmup: float = 0.05) -> float:
    """Learning-rate factor: a linear rise to 1 over the first `warmup` share of the steps, then a half cosine to 0."""
    rise = max(1, round(warmup * total))
    return (step + 1) / rise if step < rise else 0.5 + 0.5 * math.cos(math.pi * (step - rise) / max(1, total - rise))


def linear_decay(step: int, total: int) -> float:
    """Learning-rate factor: 1 in the first half of the steps, then linearly to 0 (Park et al. 2019, section 4)."""
    return min(1.0, 2 * (total - step) / total)


def set_lr(optimizer: Optimizer, learning_rate: float) -> None:
    """Sets the learning rate of all parameter groups, times the `rate` of those that have one."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * group.get("rate", 1)
