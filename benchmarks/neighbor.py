"""Trainings beside a busy neighbor: a process of equal priority that spins on one of the cores.

    python benchmarks/neighbor.py [--seconds 3] [--rounds 5] [--spins 1000 --spins 20000]

A step of each training as the sample has it (U-Net v3, VAE, GauGAN; random images), with a thread for each core: alone,
then beside a process that this one starts. Every number of spins is a `GOMP_SPINCOUNT`, in a process of its own, and
all take turns: `default` is what Facemill's commands set, 300000 what GNU's OpenMP does where nothing is set, 0 what it
does under `OMP_WAIT_POLICY=passive`; `--spins` adds others. On a machine that does other work all figures are too low.

The last line is JSON: `share_beside_neighbor`, the least over the trainings of the speed beside the neighbor, with what
Facemill sets, over the speed alone with OpenMP's own setting; and `share_alone`, the same share without the neighbor.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from facemill.workflow.command import limit_spinning

ROOT = Path(__file__).parents[1]
CORES = len(os.sched_getaffinity(0))
LIBRARY = "300000"
WAITING = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
SPIN = [sys.executable, "-c", "while True: pass"]
TRAININGS = ("unet-v3", "vae", "gaugan")
Training = Callable[[int], None]
"""Takes the step of a number."""


def main(seconds: float = 3, rounds: int = 5, spins: Sequence[int] = ()) -> None:
    """Times all trainings, a turn of `seconds` each."""
    alone, beside = {}, {}
    counts = ["default", LIBRARY, "0", *map(str, spins)]
    for name in TRAININGS:
        jobs = {count: start(name, count) for count in counts}
        for _ in range(rounds):
            for count, job in jobs.items():
                alone.setdefault((name, count), []).append(turn(job, seconds))
                with neighbor():
                    beside.setdefault((name, count), []).append(turn(job, seconds))
        for job in jobs.values():
            job.stdin.close()
            job.wait()
        for count in counts:
            quiet, shared = (statistics.median(side[name, count]) for side in (alone, beside))
            print(f"{name:7} spins {count:>8}: alone {quiet:5.1f} steps/s, beside a neighbor {shared:5.1f}", flush=True)
    shares = {
        key: min(
            statistics.median(a / b for a, b in zip(side[name, "default"], alone[name, LIBRARY], strict=True))
            for name in TRAININGS
        )
        for key, side in (("share_beside_neighbor", beside), ("share_alone", alone))
    }
    print(json.dumps({key: round(share, 2) for key, share in shares.items()} | {"load": round(os.getloadavg()[0], 1)}))


def start(name: str, spins: str) -> subprocess.Popen:
    """A process that has built a training and taken some steps."""
    environment = {name: value for name, value in os.environ.items() if name not in WAITING}
    environment |= {"OMP_NUM_THREADS": str(CORES), "PYTHONPATH": str(ROOT)}
    if spins != "default":
        environment["GOMP_SPINCOUNT"] = spins
    command = [sys.executable, __file__, "train", name]
    job = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    assert job.stdout.readline() == "ready\n"
    return job


def turn(job: subprocess.Popen, seconds: float) -> float:
    """Steps per second of a training that takes steps for so long."""
    job.stdin.write(f"{seconds}\n")
    job.stdin.flush()
    return float(job.stdout.readline())


@contextmanager
def neighbor() -> Iterator[None]:
    """A process that spins as long as the block lasts."""
    process = subprocess.Popen(SPIN)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def train(name: str) -> None:
    """Takes steps for each number of seconds on the standard input, and prints how many there were in a second."""
    limit_spinning()
    take_step, step = build(name), 0
    for step in range(5):
        take_step(step)
    print("ready", flush=True)
    for line in sys.stdin:
        first, begin = step, time.perf_counter()
        while (passed := time.perf_counter() - begin) < float(line):
            step += 1
            take_step(step)
        print((step - first) / passed, flush=True)


def build(name: str) -> Training:
    """A training of the sample, by its function of a step's number; torch is imported here, after `limit_spinning`."""
    import torch
    import yaml

    from facemill.config.root import Config, unet_settings
    from facemill.data.classes import IGNORE
    from facemill.networks.segmentation_losses import cross_entropy_dice
    from facemill.networks.vae import Vae, kl_divergence
    from facemill.segment.train_unet import build_learner
    from facemill.synthesize.gan import build_gan, generator_kwargs
    from facemill.training.learner import EmaLearner
    from facemill.training.optimization import make_accelerator

    config = Config.model_validate(yaml.safe_load((ROOT / "config/config.yaml").read_text()))
    accelerator, size, classes = make_accelerator(), config.portraits.size, len(config.classes)

    def unet_step(step: int) -> None:
        unet.step(cross_entropy_dice(unet.net((images + 1) / 2), masks, IGNORE), step)

    def vae_step(step: int) -> None:
        reconstructed, mean, log_variance = vae.net(images)
        error = (reconstructed.float() - images).abs().mean()
        vae.step(error + config.vae.kl_weight * kl_divergence(mean, log_variance), step)

    def gaugan_step(step: int) -> None:
        gan.step(images, masks, torch.randn(len(images), config.vae.z_dim), step)

    if name == "vae":
        batch, size = config.vae.training.batch, config.vae.size
        network = Vae(size=size, z_dim=config.vae.z_dim, width=config.vae.width).to(memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(network.parameters(), 1e-3, fused=True)
        vae = EmaLearner(accelerator, network, optimizer, lambda _: 1e-3)
        take_step = vae_step
    elif name == "unet-v3":
        settings = unet_settings(config, "v3")
        batch = settings.training.batch
        unet, _ = build_learner(accelerator, settings, settings.training, size, classes)
        take_step = unet_step
    else:
        batch = config.gaugan.training.batch
        ratio = int(config.portraits.ratio)
        kwargs = generator_kwargs(config.gaugan, classes, size, ratio, config.vae.z_dim)
        gan = build_gan(accelerator, config.gaugan, kwargs)
        take_step = gaugan_step
    images = torch.rand(batch, 3, size, size) * 2 - 1
    masks = torch.randint(classes, (batch, size // 16, size // 16)).repeat_interleave(16, 1).repeat_interleave(16, 2)
    return take_step


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["train", name]:
            train(name)
        case _:
            import cyclopts

            cyclopts.run(main)
