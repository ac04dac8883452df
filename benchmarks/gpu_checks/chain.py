"""From labels to portraits by the stages' functions: a check for each stage, which reads the files of those before it.

Settings are those of `config/folder.yaml`, but for batches that fill a GPU, GauGAN's preset, and shorter trainings
before it. GauGAN trains as long as the time left allows, by the rate of a short training before it.
"""

import csv
import functools
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import numpy as np
import yaml

from facemill.config.root import Config, unet_settings
from facemill.config.synthesize import GauganConfig
from facemill.data.shards import decode_image, decode_mask, mask_classes, open_shard, read_rows, write_shard
from facemill.files import write_json
from facemill.imaging.figures import image_grid, overlay, save_picture
from facemill.inference.segmenter import Segmenter
from facemill.metrics.segmentation import confusion, iou
from facemill.segment.gate_pseudo_labels import gate_pseudo_labels
from facemill.segment.pseudo_label import pseudo_label
from facemill.segment.show_pseudo_labels import show_pseudo_labels
from facemill.segment.train_unet import train_unet
from facemill.synthesize.evaluate_gaugan import evaluate_gaugan
from facemill.synthesize.evaluate_vae import evaluate_vae
from facemill.synthesize.train_gaugan import train_gaugan
from facemill.synthesize.train_vae import train_vae
from facemill.training.run import Run
from gpu_checks import Context, Report, check, trainings
from gpu_checks.timing import peak_gb, release_memory
from gpu_checks.trainings import SEED, lasting, portrait_size, products

SHOWN, VALIDATION = 8, 64
"""Validation portraits of a picture, and those that are validated on: one by one, ten times in a training."""
FIRST_STEPS = 40
"""Length of the training that measures GauGAN's rate."""
CLOSING_SECONDS = 5
"""What GauGAN's training leaves besides its evaluation."""


@functools.cache
def config() -> Config:
    """The config of `config/folder.yaml`."""
    folder = Path(__file__).parents[2] / "config"
    base, overlay = (yaml.safe_load((folder / name).read_text()) for name in ("config.yaml", "folder.yaml"))
    return Config.model_validate(merged(base, overlay) | {"source": {"images": ".", "labelled": "."}})


def merged(base: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    """An overlay's entries over those of a config, section by section: Snakemake may be missing on this machine."""
    pairs = {key: (base.get(key), value) for key, value in overlay.items()}
    sections = {key: merged(a, b) for key, (a, b) in pairs.items() if isinstance(a, dict) and isinstance(b, dict)}
    return base | overlay | sections


def last_point(folder: Path) -> dict[str, float]:
    """The last point of a training's curves."""
    with (folder / "curves.csv").open(newline="") as file:
        *_, last = csv.DictReader(file)
    return {name: float(value) for name, value in last.items()}


def report_training(report: Report, folder: Path, start: float) -> None:
    """Notes the last losses of a training that has ended now, its length, speed and memory."""
    seconds, point = time.monotonic() - start, last_point(folder)
    images = point.pop("images")
    report.figures |= point | {"trained_images": images, "images_per_second_with_start": images / seconds}
    report.figure("peak_gpu_gb", peak_gb())


@check("chain")
def unet(context: Context, report: Report) -> None:
    """U-Net v3, which labels."""
    train_version("v3", context.pick(12_000, 16), context, report)


@check("chain")
def evaluator(context: Context, report: Report) -> None:
    """U-Net v2, which segments what GauGAN paints, and has labelled nothing."""
    train_version("v2", context.pick(8000, 8), context, report)


def train_version(version: Literal["v2", "v3"], images: int, context: Context, report: Report) -> None:
    """Trains a U-Net, and compares its masks of validation portraits with the labels, in numbers and a picture."""
    folder, validation = context.work / version, context.work / "validation.parquet"
    rows, classes = copy_first(context.data.validation, VALIDATION, validation), mask_classes([validation])
    update = {"encoder_weights": context.data.encoder_weights} | context.pick({}, {"width": "tiny"})
    release_memory()
    start = time.monotonic()
    train_unet(
        version=version,
        settings=lasting(unet_settings(config(), version), images, context.pick(32, 4), **update),
        size=portrait_size(context),
        seed=SEED,
        train=context.data.train,
        validation=validation,
        **products(folder),
    )
    report_training(report, folder, start)
    portraits = [decode_image(row["image"]["bytes"]) for row in rows]
    truths = [decode_mask(row["mask"]["bytes"], classes) for row in rows]
    masks = Segmenter.load(folder, classes).masks(portraits)
    total = sum(confusion(mask, truth, len(classes)) for mask, truth in zip(masks, truths, strict=True))
    report.bar("miou", float(np.nanmean(iou(total))), at_least=context.pick(0.6, None))
    grid = [[overlay(i, m, classes) for i, m in zip(portraits[:SHOWN], part, strict=False)] for part in (truths, masks)]
    captions = ["portrait", "label", f"U-Net {version}"]
    save_picture(image_grid([portraits[:SHOWN], *grid], captions=captions), context.out / f"unet_{version}.png")


def copy_first(source: Path, count: int, target: Path) -> list[dict[str, Any]]:
    """Copies the first rows of a shard, and returns them."""
    rows = list(islice(read_rows([source]), count))
    with open_shard(source) as shard:
        schema = shard.schema_arrow
    write_shard(target, rows, schema, mask_classes([source]) if "mask" in schema.names else None)
    return rows


def collection(context: Context) -> dict[str, Any]:
    """What the stages after the labels read: shards of portraits and of their masks, and how they are split."""
    portraits = context.pick(context.data.portraits, [context.work / "few.parquet"])
    masks = [context.work / "pseudo_labels" / path.name for path in portraits]
    holdout = context.pick(config().holdout, 0.2)  # of a few drawings none might be held out
    return {"portraits": portraits, "pseudo_labels": masks, "holdout": holdout, "seed": SEED}


def timings(context: Context) -> list[Path]:
    """The JSON of each shard's `images` and `seconds`."""
    return [masks.with_suffix(".json") for masks in collection(context)["pseudo_labels"]]


@check("chain")
def pseudo_labels(context: Context, report: Report) -> None:
    """Masks of all portraits."""
    release_memory()
    shards = collection(context)
    if context.dry:
        copy_first(context.data.portraits[0], 16, *shards["portraits"])
    start = time.monotonic()
    for portraits, masks in zip(shards["portraits"], shards["pseudo_labels"], strict=True):
        files = {"portraits": portraits, "pseudo_labels": masks, "metrics": masks.with_suffix(".json")}
        pseudo_label(model=context.work / "v3/model.safetensors", **files)
    seconds = time.monotonic() - start
    images = sum(json.loads(path.read_text())["images"] for path in timings(context))
    report.figure("images", images)
    report.figure("images_per_second_with_start", images / seconds)
    report.figure("peak_gpu_gb", peak_gb())


@check("chain")
def gate(context: Context, report: Report) -> None:
    """The pseudo-labels that GauGAN is trained on; those of a dry run's network are all unsure."""
    shards = {name: collection(context)[name] for name in ("portraits", "pseudo_labels")}
    limits = context.pick({}, {"min_confidence": 0.0, "max_flip_disagreement": 1.0})
    settings, files = config().pseudo_labels.model_copy(update=limits), {"gate": context.work / "gate.parquet"}
    gate_pseudo_labels(settings=settings, holdout=config().holdout, **shards, **files)
    files |= {"metrics": context.work / "pseudo_labels.json", "picture": context.out / "pseudo_labels.png"}
    show_pseudo_labels(timings=timings(context), labelled=[context.data.train], **shards, **files)
    report.figures |= json.loads(files["metrics"].read_text())


@check("chain")
def vae(context: Context, report: Report) -> None:
    """The VAE."""
    release_memory()
    start = time.monotonic()
    length = context.pick(
        {"images": config().vae.training.images // 3, "batch": 32}, {"images": 16, "batch": 4, "width": 8}
    )
    train_vae(settings=lasting(config().vae, **length), **collection(context), **products(context.work / "vae"))
    report_training(report, context.work / "vae", start)


@check("chain", "evaluate_vae")
def vae_evaluation(context: Context, report: Report) -> None:
    """Reconstructions of held-out portraits."""
    metrics = context.work / "vae/metrics.json"
    rows = {name: collection(context)[name] for name in ("portraits", "holdout")}
    evaluate_vae(model=context.work / "vae/model.safetensors", **rows, metrics=metrics, picture=context.out / "vae.png")
    report.figures |= json.loads(metrics.read_text())


def gaugan_settings(context: Context, images: int) -> GauganConfig:
    """GauGAN's settings for a length in images."""
    return trainings.gaugan_settings(config().gaugan, context, images, context.pick(16, 2))


def paint(settings: GauganConfig, folder: Path, context: Context, report: Report) -> None:
    """Trains GauGAN."""
    release_memory()
    start = time.monotonic()
    train_gaugan(
        settings=settings,
        size=portrait_size(context),
        style_reader=context.work / "v3/model.safetensors",
        gate=context.work / "gate.parquet",
        style_encoder=folder / "style_encoder.safetensors",
        **collection(context),
        **products(folder),
    )
    report_training(report, folder, start)


def evaluate(settings: GauganConfig, folder: Path, picture: Path, context: Context) -> dict[str, Any]:
    """The metrics of a GauGAN on held-out masks, with v2 as the evaluator."""
    evaluate_gaugan(
        model=folder / "model.safetensors",
        style_encoder=folder / "style_encoder.safetensors",
        evaluator=context.work / "v2/model.safetensors",
        settings=settings,
        metrics=folder / "metrics.json",
        table=folder / "per_image.csv",
        picture=picture,
        extremes=picture.with_name(f"{picture.stem}_best_and_worst.png"),
        **collection(context),
    )
    return json.loads((folder / "metrics.json").read_text())


@contextmanager
def recorded_steps() -> Iterator[list[float]]:
    """The times at which a training's steps end."""
    ends: list[float] = []
    record = Run.record

    def timed_record(run: Run, **losses: Any) -> None:
        record(run, **losses)
        ends.append(time.monotonic())

    with patch.object(Run, "record", timed_record):
        yield ends


@check("chain")
def first_gaugan(context: Context, report: Report) -> None:
    """A short training of GauGAN and its evaluation: what a step takes, and all besides the steps."""
    settings = gaugan_settings(context, context.pick(FIRST_STEPS * 16, 4))
    folder = context.work / "gaugan_first"
    start = time.monotonic()
    with recorded_steps() as ends, patch("facemill.synthesize.train_gaugan.SNAPSHOTS", 1):
        paint(settings, folder, context, report)
    trained = time.monotonic()
    step = float(np.median(np.diff(ends)))
    report.figures |= evaluate(settings, folder, folder / "gaugan.png", context)
    pace = {"step_seconds": step, "other_seconds": trained - start - step * len(ends)}
    pace |= {"evaluation_seconds": time.monotonic() - trained}
    report.figures |= pace
    write_json(context.work / "pace.json", pace)


@check("chain")
def gaugan(context: Context, report: Report) -> None:
    """GauGAN, for as many images as the time allows, and no more than the config's."""
    pace = json.loads((context.work / "pace.json").read_text())
    left = context.seconds_left - pace["other_seconds"] - 1.2 * pace["evaluation_seconds"] - CLOSING_SECONDS
    batch = gaugan_settings(context, 1).training.batch
    images = batch * max(1, int(0.95 * left / pace["step_seconds"]))
    longest = context.pick(config().gaugan.training.images, 6)
    paint(gaugan_settings(context, min(images, longest)), context.work / "gaugan", context, report)


@check("chain", "evaluate_gaugan")
def gaugan_evaluation(context: Context, report: Report) -> None:
    """Portraits painted from held-out masks."""
    folder, picture = context.work / "gaugan", context.out / "gaugan.png"
    report.figures |= evaluate(gaugan_settings(context, 1), folder, picture, context)
    report.bar("resegmentation_miou", report.figures["resegmentation_miou"], at_least=context.pick(0.5, None))
