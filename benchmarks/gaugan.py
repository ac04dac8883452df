"""GauGAN's generator against a plain one, at the paper's numbers of channels.

    python benchmarks/gaugan.py --masks results/sample/pseudo_labels/shard-0000.parquet

The plain generator computes equation 1 as published, with dense modulation convolutions and the published code's memory
layout (NCHW); both have the same weights and compute in float32. They take turns, so that other work on the machine
disturbs both. The last line has the ratios of the medians, and the largest difference of any pixel (of images in
[-1, 1]), as JSON.
"""

import json
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facemill.data.shards import decode_mask, mask_classes, read_rows
from facemill.networks.device import keep_freed_memory
from facemill.networks.gan_losses import feature_matching_loss, hinge_loss_discriminator, hinge_loss_generator
from facemill.networks.patch_discriminator import Discriminator
from facemill.networks.perceptual import PerceptualLoss
from facemill.networks.spade import PRESETS, Generator, Spade, one_hot
from facemill.workflow.command import run

PRESET, Z_DIM = PRESETS["paper"], 256


class PlainGenerator(nn.Module):
    """The published forward pass with a generator's weights."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator
        for module in generator.modules():
            if isinstance(module, Spade):
                module.folded = False

    def forward(self, masks: Tensor, z: Tensor) -> Tensor:
        generator = self.generator
        mask = one_hot(masks, generator.classes).contiguous()  # NCHW
        x = generator.first(z).unflatten(1, (-1, generator.base_height, generator.base_width))
        for level, block in enumerate(generator.blocks):
            x = F.interpolate(x, scale_factor=2, mode="nearest") if level else x
            x = block(x, F.interpolate(mask, size=x.shape[2:], mode="nearest"))
        return generator.last(F.leaky_relu(x, 0.2)).tanh()


class PlainDiscriminator(nn.Module):
    """The published forward pass with the discriminators' weights, in NCHW."""

    def __init__(self, discriminator: Discriminator) -> None:
        super().__init__()
        self.discriminator = discriminator

    def forward(self, images: Tensor, mask: Tensor) -> list[list[Tensor]]:
        x = torch.cat([images, mask], 1)
        features = []
        for scale in self.discriminator.scales:
            features.append(scale(x))
            x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
        return features


@dataclass
class PlainGan:
    """The published training: a step of the generator, then one of the discriminators on images generated anew.

    Attributes:
        generator: masks (B, H, W) and style codes (B, z_dim) to images.
        discriminator: images and one-hot masks to features.
        classes: classes of the masks.
        perceptual: the perceptual loss, or None.
        bf16: whether the networks run under autocast to bfloat16.
    """

    generator: nn.Module
    discriminator: nn.Module
    classes: int
    perceptual: PerceptualLoss | None = None
    bf16: bool = False

    def __post_init__(self) -> None:
        networks = {self.generator: 1e-4, self.discriminator: 4e-4}
        self.adams = [torch.optim.Adam(n.parameters(), lr, betas=(0.0, 0.9), fused=True) for n, lr in networks.items()]

    def step(self, real: Tensor, masks: Tensor, z: Tensor) -> None:
        """A training step of both networks."""
        self.step_generator(real, masks, z)
        self.step_discriminator(real, masks, z)

    def step_generator(self, real: Tensor, masks: Tensor, z: Tensor) -> None:
        """A training step of the generator, on images (B, 3, H, W) in [-1, 1], masks and style codes."""
        generator_adam, _ = self.adams
        generator_adam.zero_grad()
        with torch.autocast(real.device.type, torch.bfloat16, enabled=self.bf16):
            fake = self.generator(masks, z)
            fake_features, real_features = self._features(fake, real, masks)
            loss = hinge_loss_generator(fake_features) + 10 * feature_matching_loss(real_features, fake_features)
            if self.perceptual:
                loss = loss + 10 * self.perceptual(fake, real)
        loss.backward()
        generator_adam.step()

    def step_discriminator(self, real: Tensor, masks: Tensor, z: Tensor) -> None:
        """A training step of the discriminators."""
        _, discriminator_adam = self.adams
        discriminator_adam.zero_grad()
        with torch.autocast(real.device.type, torch.bfloat16, enabled=self.bf16):
            with torch.no_grad():
                fake = self.generator(masks, z)
            fake_features, real_features = self._features(fake, real, masks)
            loss = hinge_loss_discriminator(real_features, fake_features)
        loss.backward()
        discriminator_adam.step()

    def _features(self, fake: Tensor, real: Tensor, masks: Tensor) -> tuple[list[list[Tensor]], list[list[Tensor]]]:
        """The discriminators' features of generated and of real images, which are one batch."""
        mask = one_hot(masks, self.classes).contiguous()
        both = self.discriminator(torch.cat([fake.float(), real]), torch.cat([mask, mask]))
        halves = [[features.chunk(2) for features in scale] for scale in both]
        return [[fake for fake, _ in scale] for scale in halves], [[real for _, real in scale] for scale in halves]


def pair(size: int, classes: int) -> tuple[Generator, PlainGenerator]:
    """The generator and a plain one of the same weights."""
    torch.manual_seed(0)
    init_kwargs = {"size": size, "z_dim": Z_DIM, "ngf": PRESET.ngf, "nhidden": PRESET.nhidden, "classes": classes}
    fast, twin = Generator(**init_kwargs), Generator(**init_kwargs)
    twin.load_state_dict(fast.state_dict())
    return fast.to(memory_format=torch.channels_last), PlainGenerator(twin)


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


def forward(size: int, masks: Tensor, classes: int, rounds: int) -> tuple[dict[str, float], float]:
    """Seconds of a forward pass of each generator in evaluation mode, and the largest difference of their images."""
    fast, plain = (network.eval() for network in pair(size, classes))
    z = torch.randn(len(masks), Z_DIM)
    with torch.inference_mode():
        difference = float((fast(masks, z) - plain(masks, z)).abs().max())
        return turns(rounds, plain=lambda: plain(masks, z), fast=lambda: fast(masks, z)), difference


def training(size: int, masks: Tensor, classes: int, rounds: int) -> dict[str, float]:
    """Seconds of a generator's training step, losses of the discriminators included, with each generator."""
    discriminator = Discriminator(ndf=PRESET.ndf, classes=classes).to(memory_format=torch.channels_last)
    real, z = torch.rand(len(masks), 3, size, size) * 2 - 1, torch.randn(len(masks), Z_DIM)
    fast, plain = (PlainGan(generator, discriminator, classes) for generator in pair(size, classes))
    return turns(
        rounds,
        plain=lambda: plain.step_generator(real, masks, z),
        fast=lambda: fast.step_generator(real, masks, z),
    )


def main(*, masks: list[Path], images: int = 2, rounds: int = 3) -> None:
    """Times forward passes at 128, 256 and 512 px and training steps at 128 and 256 px.

    Args:
        masks: shards with a column of masks, such as pseudo-labels; resized to each size.
        images: masks in a batch (512 px: one).
        rounds: calls of each generator, whose median counts.
    """
    keep_freed_memory()  # as every training does
    rows = read_rows(masks, ["mask"])
    classes = len(mask_classes(masks))
    labels = [torch.from_numpy(decode_mask(next(rows)["mask"]["bytes"]).copy()) for _ in range(images)]
    batch = torch.stack(labels)[:, None].float()

    def resize(size: int, count: int) -> Tensor:
        return F.interpolate(batch[:count], size=(size, size), mode="nearest")[:, 0].to(torch.uint8)

    print(f"masks of {batch.shape[-1]} px; images per second, from the median of {rounds} calls of each")
    measured, differences = {}, []
    for size in (128, 256, 512):  # growing, so that the process's largest memory is that of the size
        count = 1 if size == 512 else images
        seconds, difference = forward(size, resize(size, count), classes, rounds)
        measured[f"forward_{size}"] = seconds
        differences.append(difference)
        if size < 512:
            measured[f"training_{size}"] = training(size, resize(size, images), classes, rounds)
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
    run("gaugan:main")
