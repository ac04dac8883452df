"""A step of CycleGAN against a plain one of the same weights.

    python benchmarks/cyclegan.py --portraits results/sample/portraits/shard-0000.parquet

The plain one is the paper's as it is usually written: six calls of the generators, PyTorch's instance norm, the
discriminators on real and translated portraits one by one, in NCHW and float32. Ours runs as shipped: four calls,
bfloat16 where that is fast, and the EMA of the generators besides.

Both take turns, so that other work on the machine disturbs them alike; rates are pairs per processor second of the
median turn, whatever the number of threads. Before, both compute the losses of the same batch; `max_difference` is the
largest relative one in float32. The last line is JSON.
"""

import copy
import json
import random
import statistics
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn
from torch.nn import functional as F

from facemill.config.translate import CycleganConfig
from facemill.data.shards import decode_image, read_rows
from facemill.errors import UserError
from facemill.networks.instance_norm import InstanceNorm
from facemill.networks.vae import to_signed_range
from facemill.training.optimization import make_accelerator
from facemill.translate.cyclegan import BETAS, DIRECTIONS, CycleGan, build_cyclegan
from facemill.workflow.command import run

CYCLE, IDENTITY, POOL = 10.0, 5.0, 50


def settings_of(preset: str, size: int, batch: int) -> CycleganConfig:
    """The sample's settings of another preset, size and batch."""
    return CycleganConfig.model_validate(
        {
            "method": "cyclegan",
            "size": size,
            "preset": preset,
            "cycle_weight": CYCLE,
            "identity_weight": IDENTITY,
            "mask_weight": 0,
            "color_weight": 0,
            "pool": POOL,
            "diff_augment": False,
            "grad_accumulation": 1,
            "gpus": 1,
            "training": {"images": 14000, "batch": batch, "learning_rate": 4e-4},
        }
    )


class PlainCycleGan:
    """The paper's training step, with copies of the networks of ours."""

    def __init__(self, gan: CycleGan) -> None:
        learners = [gan.generators[way] for way in DIRECTIONS], [gan.discriminators[way] for way in DIRECTIONS]
        (self.f, self.g), (self.d_b, self.d_a) = ([plain_copy(learner.raw) for learner in kind] for kind in learners)
        self.adams = [
            torch.optim.Adam(chain(*(network.parameters() for network in pair)), 4e-4, betas=BETAS)
            for pair in ((self.f, self.g), (self.d_b, self.d_a))
        ]
        self.pools: tuple[list[Tensor], list[Tensor]] = ([], [])

    def losses(self, a: Tensor, b: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        """The generators' losses, unweighted: two each of the discriminators, cycles and identities; both fakes."""
        fake_b, fake_a = self.f(a), self.g(b)
        losses = [((net(fake)[-1] - 1) ** 2).mean() for net, fake in ((self.d_b, fake_b), (self.d_a, fake_a))]
        losses += [F.l1_loss(self.g(fake_b), a), F.l1_loss(self.f(fake_a), b)]
        return [*losses, F.l1_loss(self.f(b), b), F.l1_loss(self.g(a), a)], fake_b, fake_a

    def step(self, a: Tensor, b: Tensor) -> None:
        """A step of the generators, then one of the discriminators."""
        discriminators = (self.d_b, self.d_a)
        for network in discriminators:
            network.requires_grad_(False)
        losses, fake_b, fake_a = self.losses(a, b)
        self.adams[0].zero_grad()
        weights = (1, 1, CYCLE, CYCLE, IDENTITY, IDENTITY)
        torch.stack([weight * loss for weight, loss in zip(weights, losses, strict=True)]).sum().backward()
        self.adams[0].step()
        self.adams[1].zero_grad()
        for network, real, fake, pool in zip(discriminators, (b, a), (fake_b, fake_a), self.pools, strict=True):
            network.requires_grad_(True)
            pooled = exchanged(fake.detach(), pool)
            (((network(real)[-1] - 1) ** 2).mean() + (network(pooled)[-1] ** 2).mean()).mul(0.5).backward()
        self.adams[1].step()


def exchanged(images: Tensor, pool: list[Tensor]) -> Tensor:
    """Images, some of them exchanged for earlier ones."""
    given = []
    for image in images:
        if len(pool) < POOL:
            pool.append(image)
        elif random.random() < 0.5:
            index = random.randrange(POOL)
            image, pool[index] = pool[index], image
        given.append(image)
    return torch.stack(given)


class PlainNorm(nn.Module):
    """PyTorch's instance norm, without weights."""

    def forward(self, x: Tensor) -> Tensor:
        return F.instance_norm(x)


def plain_copy(network: nn.Module) -> nn.Module:
    """A copy whose norms are PyTorch's instance norm."""
    network = copy.deepcopy(network).float().to(memory_format=torch.contiguous_format)
    if hasattr(network, "_original_forward"):  # Accelerate's wrapper for bfloat16
        network.forward = type(network).forward.__get__(network)
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, InstanceNorm):
                setattr(module, name, PlainNorm())
    return network


def batches(portraits: Path, size: int, count: int) -> Tensor:
    """Portraits of the shard, float32 (count, 3, size, size) in [-1, 1]."""
    images = []
    for row in read_rows([portraits], ["image"]):
        pixels = torch.from_numpy(decode_image(row["image"]["bytes"])).permute(2, 0, 1)[None].float()
        images.append(to_signed_range(F.interpolate(pixels, (size, size), mode="area")))
        if len(images) == count:
            return torch.cat(images)
    raise UserError(f"{portraits}: found {len(images)} portraits; accepted: {count} or more")


def ours(gan: CycleGan, a: Tensor, b: Tensor) -> Callable[[], None]:
    """A step of ours on this batch."""
    roles, draws = torch.full((len(a), 1, 1), 255, dtype=torch.uint8), torch.Generator().manual_seed(0)

    def step() -> None:
        gan.step((a, b), (roles, roles), 0, draws)

    return step


def seconds(step: Callable[[], None], steps: int) -> float:
    """Processor seconds of a step."""
    start = time.process_time()
    for _ in range(steps):
        step()
    return (time.process_time() - start) / steps


def measure(accelerator: Accelerator, preset: str, a: Tensor, b: Tensor, turns: int) -> dict[str, float]:
    """Pairs per processor second of both, and the ratio."""
    torch.manual_seed(0)
    gan = build_cyclegan(accelerator, settings_of(preset, a.shape[2], 2 * len(a)), *a.shape[2:])
    plain = PlainCycleGan(gan)
    steps = {"plain": lambda: plain.step(a, b), "ours": ours(gan, a, b)}
    for step in steps.values():
        step()
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(turns):
        for name, step in steps.items():
            times[name].append(seconds(step, 4))
    rates = {name: len(a) / statistics.median(values) for name, values in times.items()}
    return rates | {"ratio": rates["ours"] / rates["plain"]}


def difference(a: Tensor, b: Tensor) -> float:
    """The largest relative difference of any loss, both in float32."""
    torch.manual_seed(0)
    accelerator = Accelerator(mixed_precision="no", cpu=True)
    gan = build_cyclegan(accelerator, settings_of("small", a.shape[2], 2 * len(a)), *a.shape[2:])
    plain, _, _ = PlainCycleGan(gan).losses(a, b)
    _, losses = gan.accumulate_generators({"a2b": a, "b2a": b}, {}, 1)
    names = [f"{loss}_{way}" for loss in ("gan", "cycle", "identity") for way in DIRECTIONS]
    return max(abs(losses[name].item() / value.item() - 1) for name, value in zip(names, plain, strict=True))


def main(*, portraits: Path, turns: int = 7) -> None:
    """Prints rates of both steps.

    Args:
        portraits: a shard.
        turns: of four steps each.
    """
    images = batches(portraits, 64, 16)
    result = {"max_difference": difference(images[:2], images[2:4])}
    AcceleratorState._reset_state(True)  # a process has one precision
    accelerator = make_accelerator()
    for preset, pairs in (("small", 2), ("small", 8)):
        rates = measure(accelerator, preset, images[:pairs], images[-pairs:], turns)
        print(f"{preset}, {pairs} pairs: " + ", ".join(f"{name} {value:.2f}" for name, value in rates.items()))
        result.setdefault("step_vs_plain", rates["ratio"])
    print(json.dumps(result))


if __name__ == "__main__":
    run("cyclegan:main")
