"""The same network on the processor and on the GPU, with the same inputs, draws and incoming gradients."""

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple
from unittest import mock

import torch
from accelerate.state import AcceleratorState
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from gpu_checks import Context, Report

BAR = 1e-4
"""Largest relative error of float32 on CUDA."""

CPU = torch.device("cpu")


def relative(a: Iterable[Tensor], b: Iterable[Tensor]) -> float:
    """The distance of `a` from `b` as a share of the length of `b`, all tensors together; 1e9 where not finite."""
    lengths = [(length(x.cpu() - y.cpu()), length(y)) for x, y in zip(a, b, strict=True)]
    distance, total = (math.hypot(*part) for part in zip(*lengths, strict=True))
    error = distance / total if total else distance
    return error if math.isfinite(error) else 1e9


def length(tensor: Tensor) -> float:
    """The Euclidean length of a tensor, summed in float64."""
    values = tensor.detach() if tensor.is_floating_point() else tensor.double()
    return float(torch.linalg.vector_norm(values, dtype=torch.float64))


def cosine(a: Iterable[Tensor], b: Iterable[Tensor]) -> float:
    """The cosine between `a` and `b`, all tensors together; -1 where not finite."""
    x, y = (torch.cat([tensor.detach().float().flatten() for tensor in tensors]) for tensors in (a, b))
    value = float(x.double() @ y.double()) / (length(x) * length(y))
    return value if math.isfinite(value) else -1.0


@contextmanager
def accelerators() -> Iterator[None]:
    """A block that may make an Accelerator of any precision: a process has one at a time."""
    AcceleratorState._reset_state(True)
    yield
    AcceleratorState._reset_state(True)


@contextmanager
def float32() -> Iterator[None]:
    """No autocast, and no bfloat16 in trainings; TF32 is off everywhere (`facemill/networks/device.py`)."""
    places = [
        mock.patch(f"facemill.{place}.bf16", lambda: False) for place in ("networks.device", "training.optimization")
    ]
    with places[0], places[1], accelerators():
        yield


@contextmanager
def dense() -> Iterator[None]:
    """Modulations of one-hot masks alone, never of distinct neighborhoods."""
    with mock.patch("facemill.networks.spade.SPARSE_SIDE", 1 << 20):
        yield


class Kinks(TorchFunctionMode):
    """Puts each unit on the side of its activation's kink, and each pooling on the pixel, that a first pass had.

    Rounding moves a few units in a million across a kink, or to another maximum. Each changes the gradients by all that
    it passes on: where a share p of the units moves, their relative error is the root of p, 1e-3 and more. With the
    sides of the first pass gradients are as smooth as outputs, so that a kernel's error shows.

    Args:
        first: the first pass, whose sides to take; without it this is one.
        functions: what has kinks.
    """

    def __init__(self, first: "Kinks | None" = None, functions: Iterable[Callable[..., Any]] | None = None) -> None:
        super().__init__()
        self.sides: list[tuple[Tensor, ...]] = []
        self.first = iter(first.sides) if first else None
        self.functions = (F.relu, F.leaky_relu, F.hardtanh, F.relu6) if functions is None else functions

    def __torch_function__(self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        arguments = kwargs or {}
        if function is F.max_pool2d:
            return self._pool(*args, **arguments)
        if function is F.l1_loss:
            return self._l1_loss(*args)
        if function not in self.functions:
            return function(*args, **arguments)
        x, *rest = args
        if self.first:
            slope, offset = (side.to(x.device) for side in next(self.first))
            return torch.addcmul(offset.to(x.dtype), x, slope.to(x.dtype))
        leaf = x.detach().requires_grad_()
        with torch.enable_grad():
            y = function(leaf, *rest, **arguments | {"inplace": False})
            [slope] = torch.autograd.grad(y.sum(), leaf)
        self.sides.append((slope, (y - slope * leaf).detach()))
        return function(x, *rest, **arguments)

    def _pool(self, x: Tensor, *args: Any, **arguments: Any) -> Tensor:
        if self.first:
            [indices] = next(self.first)
            return x.flatten(2).gather(2, indices.to(x.device).flatten(2)).view(indices.shape)
        pooled, indices = F.max_pool2d(x, *args, **arguments | {"return_indices": True})
        self.sides.append((indices,))
        return pooled

    def _l1_loss(self, a: Tensor, b: Tensor) -> Tensor:
        if self.first:
            [sign] = next(self.first)
        else:
            sign = (a - b).sign().detach()
            self.sides.append((sign,))
        return (sign.to(a.device) * (a - b)).mean()


class SteadyNorm(TorchFunctionMode):
    """Batch norm on the CPU in the layout in which its means are right.

    In channels_last torch adds up all pixels of a channel one after the other in float32. Where a channel is nearly
    constant, its deviations are then off by percents.
    """

    def __torch_function__(self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if function is F.batch_norm and args[0].device == CPU:
            args = (args[0].contiguous(), *args[1:])
        return function(*args, **kwargs or {})


class Pass(NamedTuple):
    """Outputs and buffers after a pass, and gradients by name."""

    outputs: list[Tensor]
    buffers: list[Tensor]
    gradients: dict[str, Tensor]


Call = Callable[..., Any]


def flattened(outputs: Any) -> list[Tensor]:
    """The tensors in nested sequences."""
    return [outputs] if isinstance(outputs, Tensor) else [tensor for part in outputs for tensor in flattened(part)]


def called(network: Any, *inputs: Any) -> Any:
    """The network of the inputs."""
    return network(*inputs)


def on(device: torch.device, value: Any) -> Any:
    """A copy of a network, a tensor, or an object with tensors, on a device."""
    if isinstance(value, Tensor):
        return value.detach().clone().to(device)
    if isinstance(value, nn.Module):
        return copy.deepcopy(value).to(device)
    if hasattr(value, "__dict__"):
        moved = copy.copy(value)
        vars(moved).update({name: on(device, part) for name, part in vars(value).items()})
        return moved
    return value


def run_pass(
    network: Any,
    inputs: Iterable[Any],
    call: Call,
    device: torch.device,
    kinks: Kinks | None = None,
    bfloat16: bool = False,
) -> Pass:
    """A forward and a backward pass of a copy of the network, with random incoming gradients that are always the same.

    Args:
        network: a module, or what else `call` needs first.
        inputs: its arguments; floating-point ones get gradients too.
        call: takes the network and the inputs; returns tensors.
        device: where to run it.
        kinks: the mode of both passes.
        bfloat16: whether to run the forward pass under autocast.
    """
    network, values = on(device, network), [on(device, value) for value in inputs]
    leaves = {f"input {i}": value.requires_grad_() for i, value in enumerate(values) if _floating(value)}
    buffers: dict[str, Tensor] = {}
    if isinstance(network, nn.Module):
        leaves |= {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
        buffers = {name: buffer for name, buffer in network.named_buffers() if buffer.is_floating_point()}
    with SteadyNorm(), kinks or nullcontext():
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            outputs = flattened(call(network, *values))
        random = torch.Generator().manual_seed(0)
        incoming = [torch.randn(output.shape, generator=random).to(output) for output in outputs]
        torch.autograd.backward(outputs, incoming)
    gradients = {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}
    return Pass(outputs, list(buffers.values()), gradients)


def compare(
    context: Context, report: Report, name: str, network: Any, inputs: Iterable[Any], call: Call = called
) -> None:
    """Bars for a network on the device against the processor in float32: outputs, buffers and gradients.

    Gradients have the processor's sides of all kinks (`Kinks`); how far they are apart without is a figure. So is the
    worst tensor's gradient; its error is a share of its length, or of 1/1000 of the length of all where that is more:
    the exact gradient of a bias before batch norm is 0.
    """
    kinks = Kinks()
    with float32():
        expected = run_pass(network, inputs, call, CPU, kinks)
        free = run_pass(network, inputs, call, context.device)
        aligned = run_pass(network, inputs, call, context.device, Kinks(kinks))
    report.bar(f"{name}_outputs", relative(free.outputs, expected.outputs), at_most=BAR)
    if expected.buffers:
        report.bar(f"{name}_buffers", relative(free.buffers, expected.buffers), at_most=BAR)
    compare_gradients(report, name, aligned.gradients, expected.gradients)
    errors = relative(free.gradients.values(), expected.gradients.values())
    report.figure(f"{name}_gradients_across_kinks", errors)


def compare_gradients(
    report: Report, name: str, gradients: dict[str, Tensor], expected: dict[str, Tensor], bar: float = BAR
) -> None:
    """A bar for all gradients together, and a figure for the worst tensor's."""
    if gradients.keys() != expected.keys():
        report.missed.append(f"{name}: other gradients: {sorted(gradients.keys() ^ expected.keys())[:3]}")
        return
    report.bar(f"{name}_gradients", relative(gradients.values(), expected.values()), at_most=bar)
    least = 1e-3 * math.hypot(*map(length, expected.values())) or 1.0
    errors = {key: length(gradients[key].cpu() - e.cpu()) / max(length(e), least) for key, e in expected.items()}
    worst = max(errors, key=lambda key: errors[key])
    report.figure(f"{name}_worst_gradient", f"{errors[worst]:.1e} of {worst}")


def _floating(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()
