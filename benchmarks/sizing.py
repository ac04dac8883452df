"""What a collection would take on a cluster: jobs, disk, transfer, processor and GPU hours.

    python benchmarks/sizing.py [--config config/danbooru.yaml] [--sustained 50] [PORTRAITS ...]

Bytes and processor seconds are measured here, on portraits of the config's size (those of `$FACEMILL_REAL_DATA` where
it is set, the sample's drawings elsewhere). GPU hours are the counted floating-point operations of the networks over
the TFLOP/s that a GPU sustains on them in bfloat16: `--sustained` is an assumption, not a measurement. Portraits are
302,652 (Danbooru2019-Portraits) and five million by default, 1,000 to a shard.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import yaml
from snakemake.utils import update_config
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from facemill.config.root import Config
from facemill.data.shards import encode_jpeg, encode_mask
from facemill.imaging.colors import region_colors
from facemill.ingest.drawing import draw
from facemill.ingest.portraits import load_portrait
from facemill.ingest.render_sample import part_class_ids
from facemill.networks.patch_discriminator import Discriminator
from facemill.networks.spade import PRESETS, Generator, one_hot
from facemill.networks.style_discriminator import StyleDiscriminator
from facemill.networks.stylegan2 import StyleGenerator
from facemill.networks.unet import WIDTHS, Unet
from facemill.networks.vae import Vae
from facemill.stylegan.gan import discriminator_kwargs, generator_kwargs

ROOT = Path(__file__).parents[1]
SAMPLES = 40
PER_SHARD = 1000
TRAINING = 3
"""A training step's operations, in those of a forward pass: itself, and the gradients of inputs and of weights."""


def settings_of(path: Path) -> Config:
    """The config of an overlay, with a collection that need not be there."""
    settings = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    update_config(settings, yaml.safe_load(path.read_text()))
    settings["source"] |= {"images": ".", "labelled": ".", "metadata": ["."]}
    return Config.model_validate(settings)


def operations(compute: Callable[[], object]) -> float:
    """The floating-point operations of a computation; of fake tensors nothing is really computed."""
    with FlopCounterMode(display=False) as counter:
        compute()
    return float(counter.get_total_flops())


def networks(config: Config) -> dict[str, float]:
    """Operations of a forward pass of each network, for one portrait."""
    size, vae, gaugan = config.portraits.size, config.vae, config.gaugan
    image = torch.zeros(1, 3, size, size)
    mask, classes = torch.zeros(1, size, size, dtype=torch.uint8), len(config.classes)
    flops = {}
    with torch.no_grad():
        for version, preset in config.unet.versions.items():
            channels = WIDTHS[config.unet.width]
            unet = Unet(
                classes=classes,
                size=size,
                decoder=preset.decoder,
                decoder_channels=channels,
                downscale=preset.downscale,
            ).eval()
            flops[version] = operations(lambda unet=unet: unet(image))
        coder = Vae(size=vae.size, z_dim=vae.z_dim, width=vae.width).eval()
        small = torch.zeros(1, 3, vae.size, vae.size)
        flops["vae"] = operations(lambda: coder(small))
        flops["encoder"] = operations(lambda: coder.encode(small))
        gan = PRESETS[gaugan.preset]
        generator = Generator(size=size, z_dim=vae.z_dim, ngf=gan.ngf, nhidden=gan.nhidden, classes=classes)
        layout = one_hot(mask, classes)
        generator._layout_at = lambda masks, height: layout[..., :height, :height]  # as in training: every pixel
        flops["generator"] = operations(lambda: generator(mask, torch.zeros(1, vae.z_dim)))
        discriminator = Discriminator(ndf=gan.ndf, classes=classes).eval()
        flops["discriminator"] = operations(lambda: discriminator(image, layout))
        ratio = int(config.portraits.ratio)
        style_generator = StyleGenerator(**generator_kwargs(config.stylegan, ratio, {}, 1)).eval()
        style_discriminator = StyleDiscriminator(**discriminator_kwargs(config.stylegan, ratio, [])).eval()
        code = torch.zeros(1, style_generator.z_dim)
        flops["style_generator"] = operations(lambda: style_generator(code))
        picture = torch.zeros(1, 3, style_generator.height, style_generator.width)
        flops["style_discriminator"] = operations(lambda: style_discriminator(picture))
    return flops


def gpu_work(config: Config, forward: dict[str, float], portraits: int) -> dict[str, float]:
    """Operations of every GPU job over the whole run."""
    work = {
        f"train_unet {version}": TRAINING * forward[version] * preset.training.images
        for version, preset in config.unet.versions.items()
    }
    work["pseudo_label"] = 2 * forward["v3"] * portraits  # flip TTA
    work["train_vae"] = TRAINING * forward["vae"] * config.vae.training.images
    # generator's step: forward and backward through both networks; discriminator's: of real and generated portraits
    step = TRAINING * forward["generator"] + (1 + 1 + 2 * TRAINING) * forward["discriminator"] + forward["encoder"]
    work["train_gaugan"] = step * config.gaugan.training.images
    # each image once through the generator, two through the discriminator; back through it to the generator, too
    style_step = TRAINING * forward["style_generator"] + (2 * TRAINING + 1) * forward["style_discriminator"]
    # a penalty's backward pass of its backward pass costs another three passes
    style_step += TRAINING / config.stylegan.penalty_every * forward["style_discriminator"]
    work["train_stylegan, when asked for"] = style_step * config.stylegan.training.images
    work["encode_latents"] = forward["encoder"] * portraits
    return work


def pictures(size: int, folder: Path) -> list[Path]:
    """Photos of `FACEMILL_REAL_DATA`, where it is set; else drawings, written into the folder."""
    real = Path(os.environ.get("FACEMILL_REAL_DATA", folder), "celebamask-hq")
    if files := sorted(path for path in real.rglob("*") if path.suffix == ".jpg")[:SAMPLES]:
        return files
    for number in range(SAMPLES):
        (folder / f"{number}.png").write_bytes(draw(number, 1).image(size))
    return sorted(folder.iterdir())


def measure(config: Config) -> dict[str, float]:
    """Bytes and processor seconds of one portrait: the work of the jobs of its shard."""
    size = config.portraits.size
    with tempfile.TemporaryDirectory() as folder:
        files = pictures(size, Path(folder))
        source_bytes = sum(file.stat().st_size for file in files)
        start = time.process_time()
        pixels = [load_portrait(file, size) for file in files]
    portraits = [encode_jpeg(image) for image in pixels]
    cropped = time.process_time()
    class_ids = part_class_ids(config.classes, config.labels)
    masks = [class_ids[draw(number, 1).part_ids(size)] for number in range(len(files))]
    rasterized = time.process_time()
    encoded = [encode_mask(mask, config.classes) for mask in masks]
    labelled = time.process_time()
    for image, mask in zip(pixels, masks, strict=True):
        region_colors(image, mask, config.classes)
    tagged = time.process_time()
    count = len(files)
    return {
        "source_bytes": source_bytes / count,
        "portrait_bytes": sum(map(len, portraits)) / count,
        "mask_bytes": sum(map(len, encoded)) / count,
        "latent_bytes": 2 * 4 * config.vae.z_dim,
        "crop_seconds": (cropped - start) / count,
        "mask_seconds": (labelled - rasterized) / count,
        "color_seconds": (tagged - labelled) / count,
    }


def main() -> None:
    """Prints a table with a column for each number of portraits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("portraits", nargs="*", type=int, default=[302_652, 5_000_000])
    parser.add_argument("--config", type=Path, default=ROOT / "config/danbooru.yaml")
    parser.add_argument("--sustained", type=float, default=50, help="TFLOP/s of the GPU on these networks, in bfloat16")
    options = parser.parse_args()
    config = settings_of(options.config)
    each = measure(config)
    with FakeTensorMode():
        forward = networks(config)
    columns = {
        portraits: totals(config, each, forward, portraits, options.sustained) for portraits in options.portraits
    }
    print(f"{options.config.name}: {config.portraits.size} px, a GPU that sustains {options.sustained:g} TFLOP/s")
    print("".join([f"{'':34}", *(f"{portraits:>14,}" for portraits in columns)]))
    for name in next(iter(columns.values())):
        print(f"{name:34}" + "".join(f"{column[name]:>14,.2f}" for column in columns.values()))
    print(json.dumps({str(n): {k: round(v, 2) for k, v in column.items()} for n, column in columns.items()}))


def totals(config: Config, each: dict, forward: dict, portraits: int, sustained: float) -> dict[str, float]:
    """Every number for a collection of so many portraits, by the name to show."""
    work = gpu_work(config, forward, portraits)
    gigabytes = {name: portraits * each[f"{name}_bytes"] / 1e9 for name in ("source", "portrait", "mask", "latent")}
    results = sum(gigabytes.values()) - gigabytes["source"]
    processor = portraits * (each["crop_seconds"] + each["mask_seconds"] + each["color_seconds"]) / 3600
    return (
        {"shards": -(-portraits // PER_SHARD)}
        | {f"{name}s, GB": size for name, size in gigabytes.items()}
        | {"all results, GB": results, "with DVC's cache (copies), GB": 2 * results}
        | {"share or restore at 1 Gbit/s, h": results * 8 / 3600, "processor hours, shards": processor}
        | {f"GPU hours, {name}": flops / sustained / 1e12 / 3600 for name, flops in work.items()}
        | {"GPU hours, all": sum(work.values()) / sustained / 1e12 / 3600}
    )


if __name__ == "__main__":
    main()
