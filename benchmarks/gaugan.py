"""GauGAN's generator against a plain one, at the paper's widths (64 channels, 128 hidden ones in a modulation).

    python benchmarks/gaugan.py --masks results/sample/pseudo_labels/shard-0000.parquet

The plain one has the published block structure with dense modulation convolutions, eager, its tensors laid out as in
the published code (NCHW); both hold the same weights and compute in float32. They take turns, so that other work on
the machine disturbs both; ratios are those of the medians. The last line holds them, and the largest difference of any
pixel (of images in [-1, 1]), as JSON.
"""

import json
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facemill.data.shards import decode_mask, read_rows
from facemill.networks.spade import (
    Discriminator,
    Generator,
    Spade,
    SpadeBlock,
    feature_matching_loss,
    hinge_loss_generator,
    one_hot,
)
from facemill.networks.store import keep_freed_memory
from facemill.workflow.command import run

WIDTH, HIDDEN, Z = 64, 128, 256


class PlainGenerator(nn.Module):
    """The published forward pass on another generator's weights."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, masks: Tensor, z: Tensor) -> Tensor:
        mask = one_hot(masks)
        first = self.generator.height >> self.generator.ups
        x = self.generator.first(z).unflatten(1, (-1, first, first))
        for level, block in enumerate(self.generator.blocks):
            x = F.interpolate(x, scale_factor=2, mode="nearest") if level else x
            x = self.block(block, x, F.interpolate(mask, size=x.shape[2:], mode="nearest"))
        return self.generator.last(F.leaky_relu(x, 0.2)).tanh()

    def block(self, block: SpadeBlock, x: Tensor, mask: Tensor) -> Tensor:
        shortcut = block.conv_s(self.spade(block.spade_s, x, mask)) if block.changes else x
        x = block.conv_0(F.leaky_relu(self.spade(block.spade_0, x, mask), 0.2))
        return shortcut + block.conv_1(F.leaky_relu(self.spade(block.spade_1, x, mask), 0.2))

    def spade(self, spade: Spade, x: Tensor, mask: Tensor) -> Tensor:
        hidden = F.relu(spade.shared[0](mask))
        scale, shift = spade.scale_shift(hidden).chunk(2, 1)
        return spade.norm(x) * (1 + scale) + shift


def pair(size: int) -> tuple[Generator, PlainGenerator]:
    """The generator and a plain one of the same weights."""
    torch.manual_seed(0)
    arguments = {"size": size, "z_dim": Z, "width": WIDTH, "hidden": HIDDEN}
    fast, same = Generator(**arguments), Generator(**arguments)
    same.load_state_dict(fast.state_dict())
    return fast.to(memory_format=torch.channels_last), PlainGenerator(same)


def turns(rounds: int, **timed: Callable[[], None]) -> dict[str, float]:
    """Median seconds of each function; they take turns, after one call of each to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for turn in range(rounds + 1):
        for name, call in timed.items():
            start = time.perf_counter()
            call()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(spent) for name, spent in seconds.items()}


def forward(size: int, masks: Tensor, rounds: int) -> tuple[dict[str, float], float]:
    """Seconds of a forward pass of each generator in evaluation mode, and the largest difference of their images."""
    fast, plain = (network.eval() for network in pair(size))
    z = torch.randn(len(masks), Z)
    with torch.inference_mode():
        difference = float((fast(masks, z) - plain(masks, z)).abs().max())
        return turns(rounds, plain=lambda: plain(masks, z), fast=lambda: fast(masks, z)), difference


def training(size: int, masks: Tensor, rounds: int) -> dict[str, float]:
    """Seconds of a generator's training step, losses of the discriminators included, with each generator."""
    discriminator = Discriminator(width=WIDTH).to(memory_format=torch.channels_last)
    real, mask, z = torch.rand(len(masks), 3, size, size) * 2 - 1, one_hot(masks), torch.randn(len(masks), Z)

    def step(generator: nn.Module) -> Callable[[], None]:
        adam = torch.optim.Adam(generator.parameters(), 1e-5, betas=(0.0, 0.9), fused=True)

        def once() -> None:
            seen = discriminator(generator(masks, z), mask)
            loss = hinge_loss_generator(seen) + 10 * feature_matching_loss(discriminator(real, mask), seen)
            loss.backward()
            adam.step()
            adam.zero_grad()

        return once

    fast, plain = pair(size)
    return turns(rounds, plain=step(plain), fast=step(fast))


def main(*, masks: list[Path], images: int = 2, rounds: int = 3) -> None:
    """Times forward passes at 128, 256 and 512 px and training steps at 128 and 256 px on masks of one's own.

    Args:
        masks: shards with a column of masks, such as pseudo-labels; enlarged or shrunk to the size
        images: masks in a batch (512 px: one)
        rounds: calls of each generator, whose median counts
    """
    keep_freed_memory()  # as every training does
    rows = read_rows(masks, ["mask"])
    drawn = [torch.from_numpy(decode_mask(next(rows)["mask"]["bytes"]).copy()) for _ in range(images)]
    found = torch.stack(drawn)[:, None].float()

    def at(size: int, count: int) -> Tensor:
        return F.interpolate(found[:count], size=(size, size), mode="nearest")[:, 0].to(torch.uint8)

    print(f"masks of {found.shape[-1]} px; images per second, from the median of {rounds} calls of each")
    measured, differences = {}, []
    for size in (128, 256, 512):  # growing, so that the process's largest memory is that of the size
        count = 1 if size == 512 else images
        seconds, difference = forward(size, at(size, count), rounds)
        measured[f"forward_{size}"] = seconds
        differences.append(difference)
        if size < 512:
            measured[f"training_{size}"] = training(size, at(size, images), rounds)
        for name in [name for name in measured if name.endswith(str(size))]:
            rates = {network: count / spent for network, spent in measured[name].items()}
            print(f"{name:14} plain {rates['plain']:7.3f} fast {rates['fast']:7.3f}")
        print(f"{'memory':14} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GB, both networks")
    ratios = {
        f"{name}_vs_plain": round(measured[name]["plain"] / measured[name]["fast"], 2)
        for name in ("forward_512", "forward_256", "training_256")
    }
    print(json.dumps(ratios | {"max_difference": max(differences)}))


if __name__ == "__main__":
    run(main)
