"""StyleGAN's networks and training steps against plain ones of the same weights.

    python benchmarks/stylegan.py --portraits results/sample/portraits/shard-0000.parquet

The plain ones (plain_stylegan.py) compute what the paper prints, as it stands there, in NCHW and float32. Ours run as
shipped, in bfloat16 where that is fast, or in float32.

All take turns, so that other work on the machine disturbs them alike; rates are images per processor second of the
median turn, whatever the number of threads. The last line has ratios at 64 pixels and the preset medium as JSON, and
`max_difference`, the largest of any pixel of a range of 2, against a plain generator with the same interpolation (at
the edges zero insertion fades out); `g_step_vs_transposed` is over a plain generator that inserts zeros and convolves
in one operation, a quarter of the products; `training_vs_loop` is the rate of a training over that of its steps alone.
"""

import contextlib
import copy
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import torch
from plain_stylegan import DIFF_AUGMENT, PENALTY_EVERY, R1, PlainDiscriminator, PlainGan, PlainGenerator
from torch import Tensor, nn
from torch.nn import functional as F

from facemill.config.fields import TrainingConfig
from facemill.config.stylegan import StyleganConfig
from facemill.data.shards import decode_image, read_rows
from facemill.errors import UserError
from facemill.networks.device import autocast, bf16
from facemill.networks.style_discriminator import StyleDiscriminator
from facemill.networks.stylegan2 import StyleGenerator
from facemill.networks.vae import to_signed_range
from facemill.stylegan import train_stylegan
from facemill.stylegan.gan import StyleGan, build_gan, discriminator_kwargs, generator_kwargs
from facemill.training import run as run_module
from facemill.training.optimization import make_accelerator
from facemill.workflow.command import run

LENGTHS = (100, 400)
"""Steps of two trainings."""


def settings_of(preset: str, size: int, batch: int) -> StyleganConfig:
    """Settings of a preset and size, without style mixing."""
    return StyleganConfig.model_validate(
        {
            "size": size,
            "preset": preset,
            "loss": "logistic",
            "r1": R1,
            "penalty_every": PENALTY_EVERY,
            "style_mixing": 0,
            "noise": False,
            "mirror": True,
            "diff_augment": DIFF_AUGMENT,
            "conditions": [],
            "discriminator": "projection",
            "condition_weight": 0.5,
            "condition_ramp": (0, 0),
            "grad_accumulation": 1,
            "gpus": 1,
            "training": TrainingConfig(images=60000, batch=batch, learning_rate=3e-3),
        }
    )


def generators(settings: StyleganConfig, ratio: int = 1) -> tuple[StyleGenerator, StyleGenerator]:
    """Two generators of the same random weights: in our layout of memory, and as PyTorch makes it."""
    torch.manual_seed(0)
    kwargs = generator_kwargs(settings, ratio, {}, 1)
    ours, twin = StyleGenerator(**kwargs), StyleGenerator(**kwargs)
    twin.load_state_dict(ours.state_dict())
    return ours.to(memory_format=torch.channels_last), twin


def discriminators(settings: StyleganConfig) -> tuple[StyleDiscriminator, StyleDiscriminator]:
    """Two discriminators of the same random weights, as `generators`."""
    kwargs = discriminator_kwargs(settings, 1, [])
    ours, twin = StyleDiscriminator(**kwargs), StyleDiscriminator(**kwargs)
    twin.load_state_dict(ours.state_dict())
    return ours.to(memory_format=torch.channels_last), twin


def turns(rounds: int, **timed: Callable[[], object]) -> dict[str, float]:
    """Median processor seconds of each function; they take turns, after one call of each to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for turn in range(rounds + 1):
        for name, call in timed.items():
            start = time.process_time()
            call()
            if turn:
                seconds[name].append(time.process_time() - start)
    return {name: statistics.median(spent) for name, spent in seconds.items()}


def forward_seconds(settings: StyleganConfig, ratio: int, batch: int, rounds: int) -> dict[str, float]:
    """Seconds of a forward pass of the generators."""
    ours, twin = generators(settings, ratio)
    plain, z = PlainGenerator(twin, "zeros"), torch.randn(batch, ours.z_dim)

    def shipped() -> None:
        with autocast():
            ours(z)

    with torch.inference_mode():
        return turns(rounds, plain=lambda: plain(z), float32=lambda: ours(z), shipped=shipped)


def generator_seconds(settings: StyleganConfig, batch: int, rounds: int) -> dict[str, float]:
    """Seconds of a generator's step, from the gradients of its images: forward, backward, Adam."""
    ours, twin = generators(settings)
    z, gradient = torch.randn(batch, ours.z_dim), torch.randn(batch, 3, ours.height, ours.width)

    def step_of(network: nn.Module, low: bool) -> Callable[[], None]:
        adam = torch.optim.Adam(network.parameters(), 1e-6, betas=(0.0, 0.99), fused=True)

        def step() -> None:
            adam.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=low):
                images = network(z)
            images.backward(gradient)
            adam.step()

        return step

    plain, transposed = (PlainGenerator(copy.deepcopy(twin), enlarges) for enlarges in ("zeros", "transposed"))
    return turns(
        rounds,
        plain=step_of(plain, False),
        transposed=step_of(transposed, False),
        float32=step_of(ours, False),
        shipped=step_of(copy.deepcopy(ours), bf16()),
    )


def iteration_seconds(gan: StyleGan, real: Tensor, rounds: int) -> dict[str, dict[str, float]]:
    """Seconds of a step of both networks without and with a penalty, and mean over eight steps of which one has it."""
    settings = gan.settings
    z = torch.randn(len(real), gan.generator.raw.z_dim)
    plain = PlainGan(
        PlainGenerator(generators(settings)[1], "zeros"), PlainDiscriminator(discriminators(settings)[1], False)
    )
    slots = torch.zeros(len(real), 0, dtype=torch.int64)
    seconds = {
        name: turns(
            rounds,
            plain=lambda step=step: plain.iteration(real, z, step),
            shipped=lambda step=step: gan.step(real, slots, step),
        )
        for name, step in (("step", 1), ("step with R1", 0))
    }
    rest = PENALTY_EVERY - 1
    seconds["iteration"] = {
        name: (rest * seconds["step"][name] + seconds["step with R1"][name]) / PENALTY_EVERY for name in seconds["step"]
    }
    return seconds


def exactness(settings: StyleganConfig, real: Tensor) -> dict[str, float]:
    """Differences between our networks and plain ones of the same enlargement and averages, in float32.

    Returns:
        `max_difference` of images, of a range of 2; `gradients`: the largest of any weight's, relative to the largest
        gradient of its tensor; the same of the discriminator's loss with R1; `up_layer`: of an enlarged layer, and the
        transposed form of one, against zero insertion, without the three outermost pixels.
    """
    ours, twin = generators(settings)
    plain, z = PlainGenerator(twin, "bilinear"), torch.randn(len(real), ours.z_dim)
    images, expected = ours(z), plain(z)
    spread = (expected.max() - expected.min()).item()
    difference = 2 * (images - expected).abs().max().item() / spread
    gradient = torch.randn_like(images)
    images.backward(gradient)
    expected.backward(gradient)
    judge, judge_twin = discriminators(settings)
    logits_of = {judge: lambda x: judge(x).logits, judge_twin: PlainDiscriminator(judge_twin, True)}
    for logits in logits_of.values():
        pixels = real.clone().requires_grad_()
        of_reals = logits(pixels)
        (slope,) = torch.autograd.grad(of_reals.sum(), pixels, create_graph=True)
        (F.softplus(-of_reals).mean() + slope.square().sum((1, 2, 3)).mean()).backward()
    layer = ours.levels[1].convs[0]
    x, w = torch.randn(len(real), layer.weight.shape[1], 16, 16), torch.randn(len(real), ours.w_dim)
    with torch.no_grad():
        up = PlainGenerator(ours, "zeros").convolve(x, w, layer, enlarges=True)
        others = layer(x, w), PlainGenerator(ours, "transposed").convolve(x, w, layer, enlarges=True)
    inner = [(other - up)[:, :, 3:-3, 3:-3].abs().max() for other in others]
    return {
        "max_difference": difference,
        "gradients": relative(ours, twin),
        "discriminator_gradients": relative(judge, judge_twin),
        "up_layer": float(torch.stack(inner).max()),
    }


def training_share(portraits: list[Path]) -> float:
    """The rate of the sample's training, with its data, curves and gauge, over that of its steps alone.

    That of a training's later steps: the difference of two lengths, of which the shorter has seen a shard of 500.
    """
    settings, spent = settings_of("small", 64, 8), {}
    paths = [path.resolve() for path in portraits]
    for steps in LENGTHS:
        # as many curve points for a step as in a complete training
        train_stylegan.CURVE_POINTS = run_module.CURVE_POINTS = max(steps * 200 // settings.training.steps, 1)
        training = settings.training.model_copy(update={"images": 8 * steps})
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            start = time.process_time()
            train_stylegan.train_stylegan(
                settings=settings.model_copy(update={"training": training}),
                seed=0,
                holdout=0.1,
                portraits=paths,
                model=Path("model.safetensors"),
                discriminator=Path("discriminator.safetensors"),
                curves=Path("curves.csv"),
            )
            spent[steps] = time.process_time() - start
    fewer, more = LENGTHS
    nobody = torch.zeros(1, 0, dtype=torch.int64)
    gan, real = build_gan(make_accelerator(), settings, 1, {}, nobody, torch.ones(1)), portraits_of(paths, 64, 8)
    for step in range(more):
        if step == fewer:
            start = time.process_time()
        gan.step(real, nobody.expand(8, 0), step)
    return (time.process_time() - start) / (spent[more] - spent[fewer])


def relative(ours: nn.Module, twin: nn.Module) -> float:
    """The largest difference of gradients, relative to the largest gradient of each tensor."""
    pairs = zip(ours.parameters(), twin.parameters(), strict=True)
    return max(float((a.grad - b.grad).abs().max() / b.grad.abs().max().clamp_min(1e-12)) for a, b in pairs)


def portraits_of(portraits: list[Path], size: int, batch: int) -> Tensor:
    """The first portraits, (B, 3, size, size) in [-1, 1]."""
    rows = read_rows(portraits, ["image"])
    pixels = [torch.from_numpy(decode_image(row["image"]["bytes"]).copy()) for row in islice(rows, batch)]
    if len(pixels) < batch:
        raise UserError(f"{portraits[0]}: {len(pixels)} portraits; accepted: {batch} or more, those of a batch")
    images = to_signed_range(torch.stack(pixels).permute(0, 3, 1, 2))
    return F.interpolate(images, size=(size, size), mode="bilinear", antialias=True)


def main(*, portraits: list[Path], batch: int = 16, rounds: int = 7) -> None:
    """Times networks and steps at 64 and 128 px, and forward passes of 512 x 256 px, and compares what they compute.

    Args:
        portraits: shards of portraits, which the discriminators are shown.
        batch: images in a batch (512 x 256: two).
        rounds: calls of each, whose median counts.
    """
    accelerator = make_accelerator()
    nobody = torch.zeros(1, 0, dtype=torch.int64)  # conditions: none
    measured: dict[str, dict[str, float]] = {}
    for preset, size in (("small", 64), ("medium", 64), ("medium", 128)):
        settings, real = settings_of(preset, size, batch), portraits_of(portraits, size, batch)
        rows = {
            "forward": forward_seconds(settings, 1, batch, rounds),
            "g_step": generator_seconds(settings, batch, rounds),
            **iteration_seconds(build_gan(accelerator, settings, 1, {}, nobody, torch.ones(1)), real, rounds),
        }
        for name, seconds in rows.items():
            measured[f"{name} {size} {preset}"] = seconds
            show(f"{name} {size} {preset}", batch, seconds)
    show("forward 512x256 wide", 2, forward_seconds(settings_of("wide", 512, 4), 2, 2, 3))
    compared = exactness(settings_of("medium", 64, batch), portraits_of(portraits, 64, batch))
    print(" ".join(f"{name} {value:.2e}" for name, value in compared.items()))
    share = training_share(portraits)

    def ratio(name: str, variant: str = "shipped", over: str = "plain") -> float:
        seconds = measured[f"{name} 64 medium"]
        return round(seconds[over] / seconds[variant], 2)

    print(
        json.dumps(
            {
                "g_step_vs_plain": ratio("g_step"),
                "g_step_vs_transposed": ratio("g_step", over="transposed"),
                "g_step_fp32_vs_plain": ratio("g_step", "float32"),
                "forward_vs_plain": ratio("forward"),
                "iteration_vs_plain": ratio("iteration"),
                "training_vs_loop": round(share, 3),
                "max_difference": compared["max_difference"],
            }
        )
    )


def show(name: str, batch: int, seconds: dict[str, float]) -> None:
    """Prints images per second."""
    print(f"{name:26}" + "".join(f"  {network} {batch / spent:8.2f}" for network, spent in seconds.items()), flush=True)


if __name__ == "__main__":
    run("stylegan:main")
