"""Trainings of U-Net v3, VAE and GauGAN against plain ones (`plain_training.py`) of the same networks and weights.

    python benchmarks/training.py --portraits results/sample/augmented/train.parquet

Each training is whole: loader, forward, backward, optimizer, EMA. Ours runs as shipped, in bfloat16 where that is
fast, with the settings of `config/config.yaml`; portraits of 256 px are enlarged ones.

Both sides take turns, so that other work on the machine disturbs them alike; rates are images per processor second of
the median turn, whatever the number of threads. The last line has the ratios as JSON.
"""

import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import torch
import yaml
from accelerate import Accelerator
from plain_training import PlainGanTraining, PlainUnetTraining, PlainVaeTraining

from facemill.config.root import Config, unet_settings
from facemill.data.classes import IGNORE
from facemill.data.dataset import ShardDataset, train_loader
from facemill.data.shards import decode_image, decode_mask, mask_classes, read_rows, write_shard
from facemill.label.labelled_rows import SCHEMA, labelled_row
from facemill.networks.segmentation_losses import cross_entropy_dice
from facemill.networks.vae import Vae, reparameterize, to_signed_range
from facemill.segment.train_unet import build_learner
from facemill.synthesize.gan import build_gan, generator_kwargs
from facemill.synthesize.train_gaugan import half_flipped
from facemill.synthesize.train_vae import build_learner as build_vae
from facemill.synthesize.train_vae import vae_losses
from facemill.training.optimization import make_accelerator
from facemill.workflow.command import run

ROOT = Path(__file__).parents[1]
PORTRAITS = 64
SETTLED = 1000
"""The number of our steps: of a training that has gone on for some time."""

Step = Callable[[], None]


def config() -> Config:
    """The settings of `config/config.yaml`."""
    return Config.model_validate(yaml.safe_load((ROOT / "config/config.yaml").read_text()))


def unet(accelerator: Accelerator, shard: Path) -> tuple[Step, Step]:
    """A plain step and ours of v3."""
    settings, classes, size = unet_settings(config(), "v3"), mask_classes([shard]), width_of(shard)
    batch = settings.training.batch
    torch.manual_seed(0)
    learner, _ = build_learner(accelerator, settings, settings.training, size, len(classes))
    batches = iter(train_loader(ShardDataset([shard]), batch, 0))

    def ours() -> None:
        pixels, masks = next(batches)
        learner.step(cross_entropy_dice(learner.net(pixels.float() / 255), masks.long(), IGNORE), SETTLED)

    return PlainUnetTraining(learner.raw, shard, batch).step, ours


def vae(accelerator: Accelerator, shard: Path) -> tuple[Step, Step]:
    """A plain step and ours of the VAE."""
    settings, classes = config().vae, mask_classes([shard])
    batch = settings.training.batch
    torch.manual_seed(0)
    learner, _ = build_vae(accelerator, settings)
    batches = iter(train_loader(ShardDataset([shard]), batch, 0))

    def ours() -> None:
        losses = vae_losses(learner.net, settings, classes, *next(batches))
        learner.step(losses["reconstruction_l1"] + settings.kl_weight * losses["kl"], SETTLED)

    return PlainVaeTraining(learner.raw, shard, batch, classes, settings.kl_weight).step, ours


def gaugan(accelerator: Accelerator, shard: Path) -> tuple[Step, Step]:
    """A plain step and ours of GauGAN; the encoder of its styles has random weights."""
    settings, of_vae = config().gaugan.model_copy(update={"z": "encoder"}), config().vae
    batch = settings.training.batch
    torch.manual_seed(0)
    encoder = Vae(size=of_vae.size, z_dim=of_vae.z_dim, width=of_vae.width).eval().to(memory_format=torch.channels_last)
    init_kwargs = generator_kwargs(settings, len(mask_classes([shard])), width_of(shard), 1, of_vae.z_dim)
    gan = build_gan(accelerator, settings, init_kwargs)
    batches = iter(train_loader(ShardDataset([shard]), batch, 0))
    plain = PlainGanTraining(gan.generator.raw, gan.discriminator.raw, encoder, shard, batch)

    def ours() -> None:
        pixels, masks = next(batches)
        real, masks = half_flipped(to_signed_range(pixels), masks)
        with torch.no_grad(), accelerator.autocast():
            z = reparameterize(*encoder.encode(real))
        gan.step(real, masks, z, SETTLED)

    return plain.step, ours


TRAININGS = {"unet": unet, "vae": vae, "gaugan": gaugan}
"""Builders of a plain step and ours, of a shard of portraits with masks."""


def width_of(shard: Path) -> int:
    """Width of a shard's portraits."""
    return ShardDataset([shard])[0][0].shape[2]


def resized_shard(source: Path, target: Path, size: int) -> Path:
    """Writes the first portraits of a shard at another size."""
    classes, rows = mask_classes([source]), []
    for row in itertools.islice(read_rows([source], ["id", "image", "mask"]), PORTRAITS):
        image, mask = decode_image(row["image"]["bytes"]), decode_mask(row["mask"]["bytes"])
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)
        mask = cv2.resize(mask, (size, size), interpolation=cv2.INTER_NEAREST)
        rows.append(labelled_row(row["id"], image, mask, classes))
    write_shard(target, rows, SCHEMA, classes)
    return target


def rates(plain: Step, ours: Step, batch: int, turns: int) -> dict[str, float]:
    """Images per processor second of both, and the ratio; two steps of each come before."""
    seconds: dict[str, list[float]] = {"plain": [], "ours": []}
    for turn in range(turns + 2):
        for name, step in (("plain", plain), ("ours", ours)):
            start = time.process_time()
            step()
            if turn >= 2:
                seconds[name].append(time.process_time() - start)
    measured = {name: batch / statistics.median(spent) for name, spent in seconds.items()}
    return measured | {"ratio": measured["ours"] / measured["plain"]}


def main(*, portraits: Path, turns: int = 9) -> None:
    """Prints rates of the trainings, and their ratios.

    Args:
        portraits: a shard of portraits with masks.
        turns: steps of each side.
    """
    accelerator, settings, results = make_accelerator(), config(), {}
    of_unet, of_gaugan = unet_settings(settings, "v3").training.batch, settings.gaugan.training.batch
    with tempfile.TemporaryDirectory() as folder:
        shards = {size: resized_shard(portraits, Path(folder) / f"{size}.parquet", size) for size in (128, 256)}
        for name, training, size, batch in (
            ("unet_128", unet, 128, of_unet),
            ("unet_256", unet, 256, of_unet),
            ("vae", vae, 128, settings.vae.training.batch),
            ("gaugan_128", gaugan, 128, of_gaugan),
            ("gaugan_256", gaugan, 256, of_gaugan),
        ):
            measured = rates(*training(accelerator, shards[size]), batch, turns)
            print(f"{name:10} " + ", ".join(f"{side} {value:.2f}" for side, value in measured.items()), flush=True)
            results[name] = measured["ratio"]
    print(json.dumps({f"{name}_vs_plain": round(results[name], 2) for name in ("unet_256", "vae", "gaugan_128")}))


if __name__ == "__main__":
    run("training:main")
