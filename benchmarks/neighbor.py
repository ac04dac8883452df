"""Trainings beside a busy neighbor: a process of equal priority that spins on one of the cores.

    python benchmarks/neighbor.py [--seconds 3] [--rounds 5]

A step of each training as the sample has it (U-Net v3, VAE, GauGAN; random images), alone, then beside a process that
this one starts: with a thread for each core, as workflows run it on two; the same with threads that sleep where they
wait (`OMP_WAIT_POLICY=passive`); and with one thread. Each way is a process of its own, and all take turns. On a
machine that does other work all figures are too low.

The last line is JSON: `share_beside_neighbor`, the least over the trainings of the speed beside the neighbor over the
speed alone, and `one_thread`, the least speed of one thread beside the neighbor over that of all threads alone.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
CORES = len(os.sched_getaffinity(0))
WAYS = {
    "all threads": {"OMP_NUM_THREADS": str(CORES)},
    "that sleep": {"OMP_NUM_THREADS": str(CORES), "OMP_WAIT_POLICY": "passive"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
"""Settings of OpenMP."""
SPIN = [sys.executable, "-c", "while True: pass"]
TRAININGS = ("unet-v3", "vae", "gaugan")
Training = Callable[[int], None]
"""Takes the step of a number."""


def main(seconds: float = 3, rounds: int = 5) -> None:
    """Times all trainings, a turn of `seconds` each."""
    shares: dict[str, list[float]] = {"share_beside_neighbor": [], "one_thread": []}
    for name in TRAININGS:
        jobs = {way: start(name, settings) for way, settings in WAYS.items()}
        alone, beside = ({way: [] for way in WAYS} for _ in range(2))
        for _ in range(rounds):
            for way, job in jobs.items():
                alone[way].append(turn(job, seconds))
                with neighbor():
                    beside[way].append(turn(job, seconds))
        for job in jobs.values():
            job.stdin.close()
            job.wait()
        quiet, shared = ({way: statistics.median(side[way]) for way in WAYS} for side in (alone, beside))
        for way in WAYS:
            print(f"{name:7} {way}: alone {quiet[way]:5.1f} steps/s, beside a neighbor {shared[way]:5.1f}", flush=True)
        shares["share_beside_neighbor"].append(shared["all threads"] / quiet["all threads"])
        shares["one_thread"].append(shared["one thread"] / quiet["all threads"])
    print(json.dumps({key: round(min(values), 2) for key, values in shares.items()} | {"load": os.getloadavg()[0]}))


def start(name: str, settings: dict[str, str]) -> subprocess.Popen:
    """A process that has built a training and taken some steps, with settings of OpenMP."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_"))}
    command = [sys.executable, __file__, "train", name]
    environment |= {"PYTHONPATH": str(ROOT)} | settings
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
    """A training of the sample, by its function of a step's number; torch is imported here, by the training alone."""
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
