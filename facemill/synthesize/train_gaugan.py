"""Training of GauGAN on pseudo-labelled portraits, with style codes from the VAE's frozen encoder."""

import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

from facemill.config.synthesize import GauganConfig
from facemill.data.classes import SEVEN
from facemill.data.dataset import ShardDataset, train_loader
from facemill.data.shards import read_rows
from facemill.data.splits import held_out
from facemill.files import atomic_write
from facemill.imaging.figures import save_picture
from facemill.log import log
from facemill.inference.painter import Painter
from facemill.metrics.generation import evenly_spaced
from facemill.networks.gan_losses import feature_matching_loss, hinge_loss_discriminator, hinge_loss_generator
from facemill.networks.patch_discriminator import Discriminator
from facemill.networks.diff_augment import DiffAugment
from facemill.networks.spade import (
    PRESETS,
    Generator,
    add_spectral_norm,
    one_hot,
    remove_spectral_norm,
)
from facemill.networks.store import load_model, save_model
from facemill.networks.vae import Vae, reparameterize, to_signed_range
from facemill.networks.vgg import PerceptualLoss
from facemill.training.run import (
    Run,
    accelerator,
    average_gradients,
    ema_of,
    prepared,
    rising_decay,
    set_rate,
    update_ema,
)

PICTURES = 8
"""Grids that are painted in the course of a training, in its folder under `work/`."""
SHOWN = 6
"""Masks and styles of such a grid: held-out portraits, the same in each."""


@dataclass
class Gan:
    """The two networks and their optimizers; learning rates follow the two time-scale rule (Heusel et al. 2017)."""

    generator: nn.Module
    discriminator: nn.Module
    adam_g: Adam
    adam_d: Adam
    perceptual: nn.Module | None
    settings: GauganConfig

    def set_rates(self, factor: float) -> None:
        """Half the learning rate for the generator, twice for the discriminators, both times `factor`."""
        set_rate(self.adam_g, self.settings.training.learning_rate * factor / 2)
        set_rate(self.adam_d, self.settings.training.learning_rate * factor * 2)


def ratio_of(rows: ShardDataset) -> int:
    """Height : width of portraits, 1 or 2."""
    height, width = rows[0][1].shape
    return height // width


def linear_decay(step: int, total: int) -> float:
    """The learning rate's factor: 1 in the first half of the steps, then linearly to 0 (Park et al., section 4)."""
    return min(1.0, 2 * (total - step) / total)


def gan_step(gan: Gan, accelerate, real: Tensor, masks: Tensor, z: Tensor) -> dict[str, Tensor]:
    """One step of both networks on images (B, 3, H, W), masks (B, H, W) and style codes; returns the mean losses.

    The batch is computed in `grad_accumulation` parts, whose gradients add up: less memory, the same step but for batch norm.
    """
    parts = gan.settings.grad_accumulation
    sums: dict[str, Tensor] = {}
    for part in zip(real.chunk(parts), masks.chunk(parts), z.chunk(parts), strict=True):
        for name, loss in part_of_step(gan, accelerate, *part, share=len(part[0]) / len(real)).items():
            sums[name] = sums.get(name, 0) + loss.detach() * len(part[0]) / len(real)
    for network, adam in ((gan.generator, gan.adam_g), (gan.discriminator, gan.adam_d)):
        average_gradients(network, accelerate)
        adam.step()
        adam.zero_grad()
    return sums


def part_of_step(gan: Gan, accelerate, real: Tensor, masks: Tensor, z: Tensor, share: float) -> dict[str, Tensor]:
    """Adds the gradients of both networks' losses on a part of a batch, times `share`; returns the losses."""
    settings, mask = gan.settings, one_hot(masks, len(SEVEN))
    augment = DiffAugment(*masks.shape, masks.device) if settings.diff_augment else lambda *pair: pair
    fake = gan.generator(masks, z)
    seen_real = gan.discriminator(*augment(real, mask))
    gan.discriminator.requires_grad_(False)
    seen_fake = gan.discriminator(*augment(fake, mask))
    losses = {
        "hinge_g": hinge_loss_generator(seen_fake),
        "feature_matching": feature_matching_loss(seen_real, seen_fake),
    }
    total = losses["hinge_g"] + settings.feature_matching_weight * losses["feature_matching"]
    if gan.perceptual is not None:
        losses["perceptual"] = gan.perceptual(fake, real)
        total = total + settings.perceptual_weight * losses["perceptual"]
    accelerate.backward(share * total)

    gan.discriminator.requires_grad_(True)
    losses["hinge_d"] = hinge_loss_discriminator(seen_real, gan.discriminator(*augment(fake.detach(), mask)))
    accelerate.backward(share * losses["hinge_d"])
    return losses


def snapshot_callback(
    rows: ShardDataset, encoder: Vae, generator: nn.Module, folder: Path, total: int
) -> Callable[[int, int], None]:
    """What paints some masks of `rows` in some styles of others, `PICTURES` times in `total` steps, so that a training
    can be watched; call it with each step's number and its images."""
    chosen = evenly_spaced(len(rows), 2 * SHOWN)
    if len(chosen) < 2:
        return lambda step, images: None
    pixels, masks = (torch.stack(tensors) for tensors in zip(*(rows[i] for i in chosen), strict=True))
    painter = Painter(generator, SEVEN, encoder)
    z = painter.encode_styles(pixels) if generator.z == "encoder" else painter.random_styles(len(pixels))
    half = len(chosen) // 2

    def paint_when_due(step: int, images: int) -> None:
        if (step + 1) % max(total // PICTURES, 1) == 0:
            grid = painter.style_grid(pixels, masks, z, range(half), range(half, len(chosen)))
            save_picture(grid, folder / f"painted-{images:09d}.png")

    return paint_when_due


def widths(settings: GauganConfig) -> dict[str, int]:
    """The arguments of `Generator` that its preset holds."""
    return {"ngf": PRESETS[settings.preset].ngf, "nhidden": PRESETS[settings.preset].nhidden}


def new_gan(settings: GauganConfig, arguments: dict[str, Any], accelerate) -> tuple[Gan, dict[str, nn.Module]]:
    """Networks and optimizers as a training begins, and what of them its checkpoints hold; `arguments` of `Generator`
    are those that its preset does not hold."""
    generator = Generator(**arguments, **widths(settings))
    discriminator = Discriminator(ndf=PRESETS[settings.preset].ndf, classes=len(SEVEN))
    for network in (generator, discriminator):
        add_spectral_norm(network)
        network.to(memory_format=torch.channels_last)
    modules = {"generator": generator, "discriminator": discriminator}
    modules |= {"ema": ema_of(generator).to(accelerate.device)}
    adams = [Adam(n.parameters(), betas=(0.0, 0.9), fused=True) for n in (generator, discriminator)]
    networks = [prepared(accelerate, network) for network in (generator, discriminator)]
    perceptual = PerceptualLoss(settings.vgg_weights).to(accelerate.device) if settings.vgg_weights else None
    if perceptual is None:
        log.info("gaugan: gaugan.vgg_weights is null, so the perceptual loss is left out")
    return Gan(*networks, *accelerate.prepare(*adams), perceptual, settings), modules


def train_gaugan(
    settings: GauganConfig,
    *,
    size: int,
    seed: int,
    holdout: float,
    vae: Path,
    portraits: Sequence[Path],
    pseudo_labels: Sequence[Path],
    gate: Path,
    model: Path,
    style_encoder: Path,
    curves: Path,
) -> None:
    """Trains on the pseudo-labelled portraits that `gate` accepts and that are not held out.

    Writes the generator's EMA weights to `model`; the VAE is copied to `style_encoder`, beside it, so that the folder
    paints in any image's style by itself. z is drawn from the frozen encoder's q(z|x) of the very image to be painted
    (Park et al., section 3), or as the settings say from N(0, 1), which nothing ties to a style, or there is none
    (their main model). Losses: hinge, feature matching, and the perceptual one where VGG weights are given. Paints some
    held-out masks now and then, to be looked at in its folder under `work/`. Resumes where a killed run stopped.
    """
    torch.manual_seed(seed)
    accelerate = accelerator()
    encoder = load_model(Vae, vae)
    accepted = {row["id"] for row in read_rows([gate], ["id", "rejected"]) if row["rejected"] is None}
    rows = ShardDataset(portraits, pseudo_labels, keep=lambda id: id in accepted and not held_out(id, holdout))
    log.info("gaugan: learns from %d portraits", len(rows))
    arguments = {"size": size, "classes": len(SEVEN), "ratio": ratio_of(rows), "z": settings.z}
    arguments |= {"z_dim": 0 if settings.z == "none" else encoder.z_dim}
    gan, modules = new_gan(settings, arguments, accelerate)
    plain, ema = modules["generator"], modules["ema"]
    hashed = {"size": size, "seed": seed, "holdout": holdout} | settings.model_dump(mode="json")
    optimizers = {"adam_g": gan.adam_g.optimizer, "adam_d": gan.adam_d.optimizer}
    run = Run("gaugan", hashed, [vae, *portraits, *pseudo_labels, gate], modules, optimizers)

    images, batch = settings.training.images, settings.training.batch
    total = math.ceil(images / batch)
    shown = ShardDataset(portraits, pseudo_labels, keep=lambda id: held_out(id, holdout))
    watch = snapshot_callback(shown, encoder, ema, run.folder, total)
    batches = accelerate.prepare(train_loader(rows, batch, seed, run.step))
    for step, (pixels, masks) in zip(run.steps(images, batch, seed), batches, strict=False):
        gan.set_rates(linear_decay(step, total))
        if torch.rand(()) < 0.5:
            pixels, masks = pixels.flip(3), masks.flip(2)
        real = to_signed_range(pixels)
        with torch.no_grad(), accelerate.autocast():
            z = reparameterize(*encoder.encode(real)) if settings.z == "encoder" else torch.randn((len(real), plain.z_dim), device=real.device)
        run.record(**gan_step(gan, accelerate, real, masks, z))
        update_ema(ema, plain, rising_decay(step))
        if accelerate.is_main_process:
            watch(step, (step + 1) * batch)
    if accelerate.is_main_process:
        remove_spectral_norm(ema)
        save_model(model, ema, arguments | widths(settings), hashed)
        for source, target in ((vae, style_encoder), (vae.with_suffix(".json"), style_encoder.with_suffix(".json"))):
            with atomic_write(target) as tmp:
                shutil.copyfile(source, tmp)
        run.finish(curves)
