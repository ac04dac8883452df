"""How fast everything is: labelling, GauGAN's step against the published one, each training, a single portrait.

Operations of GauGAN are those with dense modulations, as `benchmarks/sizing.py` counts them: the TFLOP/s sustained are
those by which its counts are to be divided.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import torch
from gaugan import PlainDiscriminator, PlainGan, PlainGenerator
from pseudo_label import PORTRAITS, end_to_end, network_alone
from torch import Tensor
from torch.nn import functional as F

from facemill.config.synthesize import GauganConfig
from facemill.data.dataset import ShardDataset
from facemill.data.shards import IMAGE, decode_image, encode_jpeg, mask_classes, read_rows, write_shard
from facemill.files import write_json
from facemill.inference.backends import fastest_backend
from facemill.inference.painter import Painter
from facemill.inference.segmenter import Segmenter
from facemill.networks.patch_discriminator import Discriminator
from facemill.networks.perceptual import vgg_loss
from facemill.networks.spade import PRESETS, Generator, add_spectral_norm
from facemill.networks.store import load_model, model_classes, save_model
from facemill.networks.unet import Unet
from facemill.networks.vae import to_pixels, to_signed_range
from facemill.synthesize.gan import build_gan, generator_kwargs
from facemill.training.optimization import make_accelerator
from gpu_checks import Context, Report, check
from gpu_checks.comparison import dense
from gpu_checks.timing import median_seconds, operations, peak_gb, release_memory, report_latency, step_of
from gpu_checks.trainings import TRAININGS, timed

Z_DIM = 256
CEILINGS = "ceilings.json"
"""The figures of `ceilings`, for the checks after it."""
SCRIPT = Path(__file__).parents[2] / "scripts/pseudo_label.py"


@check("speed")
def ceilings(context: Context, report: Report) -> None:
    """What the GPU does at most: a large matrix product, copies within it and to it."""
    side, count = context.pick((8192, 1 << 30), (256, 1 << 20))
    a, b = torch.randn(2, side, side, device=context.device, dtype=torch.bfloat16)
    report.figure("matmul_bf16_tflops", 2 * side**3 / median_seconds(context, lambda: a @ b, calls=10) / 1e12)
    source, target = torch.randint(0, 256, (2, count), device=context.device, dtype=torch.uint8)
    seconds = median_seconds(context, lambda: target.copy_(source), calls=10)
    report.figure("device_copy_gb_per_second", 2 * count / seconds / 1e9)  # read and written
    host = torch.randint(0, 256, (count // 4,), dtype=torch.uint8, pin_memory=target.is_cuda)
    seconds = median_seconds(context, lambda: target[: len(host)].copy_(host, non_blocking=True), calls=10)
    report.figure("pinned_host_to_device_gb_per_second", len(host) / seconds / 1e9)
    write_json(context.work / CEILINGS, report.figures)


def report_sustained(context: Context, report: Report, name: str, flops: float, rate: float) -> None:
    """Notes operations of an image, and at a rate in images per second the TFLOP/s and their share of the ceiling."""
    sustained = flops * rate / 1e12
    report.figure(f"{name}_tflop_per_image", flops / 1e12)
    report.figure(f"{name}_sustained_tflops", sustained)
    if (ceiling := context.work / CEILINGS).exists():
        report.figure(f"{name}_share_of_matmul", sustained / json.loads(ceiling.read_text())["matmul_bf16_tflops"])


@check("speed")
def pseudo_label(context: Context, report: Report) -> None:
    """Labelling portraits of three sizes."""
    for size in context.pick((512, 256, 128), (64,)):
        label_portraits(size, context, report)


def label_portraits(size: int, context: Context, report: Report) -> None:
    """Labels portraits end to end and with the network alone, in turns of seconds, and one in a batch of its own."""
    unet, shard = load_model(Unet, labeller(context, size)), context.work / f"portraits-{size}.parquet"
    flops = 2 * operations(lambda: unet(torch.rand(1, 3, size, size, device=context.device)))  # with the mirror image
    portraits, files = enlarged_portraits(context, size)
    release_memory()  # and ends the threads that loaded the training's batches: none may use the GPU while it records
    start = time.perf_counter()
    backend = fastest_backend(unet)
    backend(portraits[:1])
    report.figure(f"start_{size}_seconds", time.perf_counter() - start)
    report_latency(context, report, f"one_{size}", lambda: backend(portraits[:1]))

    batch, distinct = backend.batch, range(0, max(len(portraits), backend.batch), backend.batch)
    batches = [np.stack(list(islice(cycle(portraits), first, first + batch))) for first in distinct]
    network_alone(backend, batches)
    start = time.perf_counter()
    network_alone(backend, batches)
    batches *= max(1, min(16, round(context.pick(1, 0) / (time.perf_counter() - start))))
    count = len(batches) * batch
    write_portraits(islice(cycle(files), count), shard)
    turns = []
    for _ in range(context.pick(3, 1)):
        start = time.perf_counter()
        network_alone(backend, batches)
        middle = time.perf_counter()
        end_to_end(backend, shard, context.work / f"masks-{size}.parquet")
        turns.append((middle - start, time.perf_counter() - middle))
    alone, rate = (count / statistics.median(seconds) for seconds in zip(*turns, strict=True))
    report.figure(f"network_{size}_images_per_second", alone)
    report.figure(f"end_to_end_{size}_images_per_second", rate)
    report.bar(
        f"end_to_end_{size}_of_network",
        statistics.median(network / whole for network, whole in turns),
        at_least=0.9 if size == 512 else None,
    )
    report.figure(f"hours_{size}_for_{PORTRAITS}_portraits", PORTRAITS / rate / 3600)
    report.figure(f"peak_{size}_gpu_gb", peak_gb())
    report_sustained(context, report, f"network_{size}", flops, alone)


def labeller(context: Context, size: int) -> Path:
    """A U-Net v3 that was trained for seconds, to label portraits of a size: masks of noise would take long to encode.

    Returns:
        Its safetensors file.
    """
    trained = context.work / "labeller"
    if not (trained / "model.json").exists():
        TRAININGS["unet_v3"](context, trained, *context.pick((3200, 32), (4, 2)))
    arguments = json.loads((trained / "model.json").read_text())["arguments"]
    model = context.work / f"labeller-{size}" / "model.safetensors"
    save_model(model, load_model(Unet, trained), arguments | {"size": size}, {}, model_classes(trained))
    return model


def enlarged_portraits(context: Context, size: int) -> tuple[list[np.ndarray], list[bytes]]:
    """Some of the data's portraits at a size: uint8 RGB (size, size, 3), and as JPEGs."""

    def enlarge(row: dict[str, Any]) -> tuple[np.ndarray, bytes]:
        pixels = cv2.resize(decode_image(row["image"]["bytes"]), (size, size), interpolation=cv2.INTER_CUBIC)
        return pixels, encode_jpeg(pixels)

    rows = islice(read_rows(context.data.portraits, ["image"]), context.pick(512, 8))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pixels, files = zip(*pool.map(enlarge, rows), strict=True)
    return list(pixels), list(files)


def write_portraits(files: Iterable[bytes], path: Path) -> None:
    """Writes a shard of JPEGs."""
    rows = [{"id": str(i), "image": {"bytes": data, "path": f"{i}.jpg"}} for i, data in enumerate(files)]
    write_shard(path, rows, pa.schema([("id", pa.string()), ("image", IMAGE)]))


@check("speed")
def labelling_process(context: Context, report: Report) -> None:
    """A process that labels a single portrait of 512 px: what each job of 1,000 takes to start. Dry: its help."""
    size, folder = context.pick(512, 64), context.work / "process"
    write_portraits(enlarged_portraits(context, size)[1][:1], folder / "portraits.parquet")
    files = {"model": labeller(context, size), "portraits": folder / "portraits.parquet"}
    files |= {"pseudo-labels": folder / "pseudo_labels.parquet", "metrics": folder / "metrics.json"}
    options = [text for name, path in files.items() for text in (f"--{name}", str(path))]
    command = [sys.executable, str(SCRIPT), *options, *context.pick([], ["--help"])]
    start = time.perf_counter()
    process = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if process.returncode:
        raise RuntimeError(process.stderr)
    seconds = time.perf_counter() - start
    report.figure("seconds_of_one_portrait", seconds)
    report.figure(f"hours_of_starts_for_{PORTRAITS}_portraits", PORTRAITS / 1000 * seconds / 3600)


def gaugan_step(size: int, context: Context, report: Report) -> None:
    """GauGAN's step with two presets."""
    size = context.pick(size, 64)
    for preset in context.pick(("large", "paper"), ("tiny",)):
        compare_steps(preset, size, context, report)


for size in (256, 512):
    check("speed", f"gaugan_step_{size}")(partial(gaugan_step, size))


def compare_steps(preset: str, size: int, context: Context, report: Report) -> None:
    """A step of both phases, with sparse and with dense modulations, against the published one.

    That runs in bfloat16, and as it was written in float32, with torch's defaults (convolutions in TF32).
    """
    batch, vgg = context.pick(4096 // size, 2), context.data.vgg_weights
    training = {"images": 10**6, "batch": batch, "learning_rate": 2e-4}
    weights = {"feature_matching_weight": 10, "perceptual_weight": 10, "vgg_weights": vgg}
    settings = GauganConfig.model_validate({"preset": preset, "z": "encoder", "training": training} | weights)
    classes = len(mask_classes([context.data.train]))
    init_kwargs = generator_kwargs(settings, classes, size, 1, Z_DIM)
    real, masks = resized_portraits(context, size, context.pick(64, 4))

    def inputs(images: int) -> tuple[Tensor, ...]:  # new masks in each step, as in a training: no shape comes again
        chosen = torch.randperm(len(masks), device=context.device)[:images]
        return real[chosen], masks[chosen], torch.randn(images, Z_DIM, device=context.device)

    def ours(images: int) -> Callable[[], object]:
        accelerator = make_accelerator()
        with context.device:  # which draws weights faster
            gan = build_gan(accelerator, settings, init_kwargs)
        return lambda: gan.step(*inputs(images), step=0)

    def published(images: int, *, bf16: bool) -> Callable[[], object]:
        with context.device:
            generator = Generator(**init_kwargs)
            discriminator = Discriminator(ndf=PRESETS[settings.preset].ndf, classes=classes)
            for network in (generator, discriminator):
                add_spectral_norm(network)
            perceptual = vgg_loss(vgg).to(memory_format=torch.contiguous_format) if vgg else None
            gan = PlainGan(PlainGenerator(generator), PlainDiscriminator(discriminator), classes, perceptual, bf16)
        return lambda: gan.step(*inputs(images))

    torch.manual_seed(0)
    steps = {"ours": step_of(context, ours, batch)}
    with dense():
        steps["dense"] = step_of(context, ours, batch)
        flops = operations(ours(1))
    steps["published"] = step_of(context, partial(published, bf16=True), batch)
    torch.backends.cudnn.allow_tf32 = True  # torch's default, which Facemill changes
    try:
        steps["published_float32"] = step_of(context, partial(published, bf16=False), batch)
    finally:
        torch.backends.cudnn.allow_tf32 = False
    for name, step in steps.items():
        for field, value in step._asdict().items():
            report.figure(f"{preset}_{name}_{field}", value)
        if name != "ours":
            report.figure(f"{preset}_times_{name}", steps["ours"].images_per_second / step.images_per_second)
    report_sustained(context, report, preset, flops, steps["ours"].images_per_second)


def resized_portraits(context: Context, size: int, count: int) -> tuple[Tensor, Tensor]:
    """Labelled portraits: float32 (count, 3, size, size) in [-1, 1], and their masks, uint8 (count, size, size)."""
    rows = ShardDataset([context.data.train])
    pixels, masks = (torch.stack(tensors) for tensors in zip(*islice(cycle(rows), count), strict=True))
    images = F.interpolate(to_signed_range(pixels), size=(size, size), mode="bilinear")
    masks = F.interpolate(masks[:, None].float(), size=(size, size), mode="nearest")[:, 0].byte()
    return images.to(context.device), masks.to(context.device)


@check("speed")
def latency(context: Context, report: Report) -> None:
    """A single portrait, from numpy to numpy: painted from its mask, and segmented."""
    release_memory()
    classes = mask_classes([context.data.train])
    for size in context.pick((128, 256, 512), (64,)):
        images, labels = resized_portraits(context, size, 8)
        portraits, masks = cycle(to_pixels(images)), cycle(labels.cpu().numpy())
        for preset in context.pick(("large", "paper"), ("tiny",)):
            channels = {"ngf": PRESETS[preset].ngf, "nhidden": PRESETS[preset].nhidden}
            generator = Generator(size=size, z_dim=Z_DIM, classes=len(classes), **channels).eval()
            painter = Painter(generator.to(context.device).to(memory_format=torch.channels_last), classes)
            paint = partial(paint_next, painter, masks, painter.random_styles(1, seed=0))
            report_latency(context, report, f"paint_{preset}_{size}", paint)
        segmenter = Segmenter.load(labeller(context, size))
        report_latency(context, report, f"segment_{size}", partial(segment_next, segmenter, portraits))


def paint_next(painter: Painter, masks: Iterator[np.ndarray], z: Tensor) -> np.ndarray:
    """A portrait, uint8 RGB (1, H, W, 3), painted from the next mask."""
    return painter.generate(torch.from_numpy(next(masks))[None], z)


def segment_next(segmenter: Segmenter, portraits: Iterator[np.ndarray]) -> np.ndarray:
    """The mask, uint8 (1, H, W), of the next portrait."""
    return segmenter.masks([next(portraits)])


def training(name: str, context: Context, report: Report) -> None:
    """A training, from the loader of its batches to the optimizer."""
    release_memory()
    images, batch = context.pick((960, 16) if name == "gaugan" else (1920, 32), (6, 2))
    for field, value in timed(name, context, images, batch)._asdict().items():
        report.figure(field, value)


for name in TRAININGS:
    check("speed", f"training_{name}")(partial(training, name))
