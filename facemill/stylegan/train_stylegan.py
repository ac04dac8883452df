"""Training of StyleGAN: a generator of portraits out of nothing."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facemill.config.stylegan import StyleganConfig
from facemill.data.dataset import train_loader
from facemill.errors import UserError
from facemill.imaging.figures import image_grid, save_picture
from facemill.inference.sampler import Sampler
from facemill.log import log
from facemill.networks.device import device
from facemill.networks.store import load_model, save_model
from facemill.networks.style_discriminator import GROUP, StyleDiscriminator
from facemill.networks.stylegan2 import MEAN_STYLES, StyleGenerator
from facemill.networks.vae import to_signed_range
from facemill.stylegan.conditions import Conditions, combination_shares, read_conditions
from facemill.stylegan.gan import StyleGan, build_gan, discriminator_kwargs, generator_kwargs
from facemill.stylegan.portraits import Kinds, StylePortraits, aspect_ratio
from facemill.training.optimization import make_accelerator
from facemill.training.run import CURVE_POINTS, Run

SNAPSHOTS = 8
"""Number of snapshots that a training saves in its folder under `work/`."""
SNAPSHOT_SIDE = 8
"""Rows and columns of a snapshot: the same codes in each."""
MIN_PORTRAITS = 100
"""Least number of portraits to train on."""
FEW_PORTRAITS = 5000
"""With fewer a discriminator without augmentation soon knows them all (Karras et al. 2020, 2006.06676, figure 1)."""
BUFFERS = {"w_mean", "combinations", "shares"}
"""What a training that starts from another model does not take from it."""
WATCHED = 64
"""Portraits of each kind whose logits tell whether the discriminator overfits."""


def train_stylegan(
    *,
    settings: StyleganConfig,
    seed: int,
    holdout: float,
    portraits: list[Path],
    gate: Path | None = None,
    tags: list[Path] | None = None,
    min_images: int = 1,
    model: Path,
    discriminator: Path,
    curves: Path,
) -> None:
    """Trains StyleGAN on portraits; the same command resumes a killed run.

    Args:
        settings: the section `stylegan`.
        seed: seed of weights, order, codes and augmentation.
        holdout: share of the portraits that is held out; the collection's own test split is not trained on either.
        portraits: shards of the collection.
        gate: shard that says which portraits are accepted, where there are masks.
        tags: shards of the portraits' tags, for conditions.
        min_images: least number of portraits of a name that can be asked for.
        model: the EMA generator, a safetensors file.
        discriminator: the discriminator, from which another training can start, a safetensors file.
        curves: CSV of losses and logits.
    """
    torch.manual_seed(seed)
    accelerator = make_accelerator()
    kinds = Kinds.of(portraits, gate, holdout)
    conditions = read_conditions(tags or [], settings.conditions, min_images, kinds.training)
    rows = training_rows(settings, conditions, portraits, kinds)
    combinations, shares = combination_shares([rows.slots(index) for index in range(len(rows))])
    ratio = aspect_ratio(rows)
    gan = build_gan(accelerator, settings, ratio, conditions.names, combinations, shares)
    if settings.initial:
        start_from(settings.initial, gan)
    settings_key = {"seed": seed, "holdout": holdout, "min_images": min_images} | settings.model_dump(mode="json")
    inputs = [*portraits, *(tags or []), *([gate] if gate else []), *initial_files(settings)]
    run = Run("stylegan", settings_key, inputs, gan.learners)
    save_snapshot = snapshot_callback(Sampler(gan.generator.ema), run.folder, settings.training.steps)
    unseen = StylePortraits(portraits, settings.size, conditions, kinds.held_out)
    watch = overfitting_gauge(gan, rows, unseen)
    images, batch = settings.training.images, settings.training.batch
    batches = accelerator.prepare(train_loader(rows, batch, seed, run.step))
    for step, (pixels, slots) in zip(run.steps(images, batch, seed), batches, strict=False):
        real = to_signed_range(pixels)
        run.record(**gan.step(mirrored(real) if settings.mirror else real, slots, step))
        if accelerator.is_main_process:
            done, steps = step + 1, settings.training.steps
            if done == steps or done % max(steps // CURVE_POINTS, 1) == 0:
                run.extra_metrics |= watch(step)
            save_snapshot(step, (step + 1) * batch)
    if accelerator.is_main_process:
        finish_generator(gan.generator.ema)
        kwargs = generator_kwargs(settings, ratio, conditions.names, len(combinations))
        save_model(model, gan.generator.ema, kwargs, settings_key)
        slots_of = gan.generator.raw.slots
        save_model(discriminator, gan.discriminator.raw, discriminator_kwargs(settings, ratio, slots_of), settings_key)
        run.finish(curves)


def training_rows(
    settings: StyleganConfig, conditions: Conditions, portraits: list[Path], kinds: Kinds
) -> StylePortraits:
    """The portraits of the training.

    Raises:
        UserError: Fewer than `MIN_PORTRAITS`.
    """
    rows = StylePortraits(portraits, settings.size, conditions, kinds.training)
    if len(rows) < MIN_PORTRAITS:
        raise UserError(f"stylegan: found {len(rows)} portraits to learn from; accepted: {MIN_PORTRAITS} or more")
    if len(rows) < FEW_PORTRAITS and not settings.diff_augment:
        log.warning(
            "stylegan: %d portraits without stylegan.diff_augment: watch `overfit` in the curves, which nears 1 when "
            "the discriminator knows them by heart",
            len(rows),
        )
    log.info("stylegan: learns from %d portraits", len(rows))
    return rows


def mirrored(images: Tensor) -> Tensor:
    """Images (B, 3, H, W), each mirrored or not, at random."""
    flips = torch.rand((len(images), 1, 1, 1), device=images.device) < 0.5
    return torch.where(flips, images.flip(3), images)


def initial_files(settings: StyleganConfig) -> list[Path]:
    """The weights that a training starts from."""
    names = ("model", "discriminator")
    return [settings.initial / f"{name}.safetensors" for name in names] if settings.initial else []


def start_from(folder: Path, gan: StyleGan) -> None:
    """Copies the weights of a finished model into networks in training.

    Raises:
        UserError: The model has other channels, another size or other conditions, or no discriminator beside it.
    """
    networks: list[tuple[str, type, torch.nn.Module]] = [
        ("model", StyleGenerator, gan.generator.raw),
        ("discriminator", StyleDiscriminator, gan.discriminator.raw),
    ]
    for name, kind, network in networks:
        path = folder / f"{name}.safetensors"
        model: torch.nn.Module = load_model(kind, path)
        if isinstance(model, StyleGenerator) and [*model.conditions.items()] != [*gan.generator.raw.conditions.items()]:
            raise UserError(
                f"stylegan.initial: {path} can be asked for {model.conditions}; accepted: "
                f"{gan.generator.raw.conditions}, those of stylegan.conditions and these portraits"
            )
        state, expected = model.state_dict(), network.state_dict()
        for key in [key for key in {**expected, **state} if key not in BUFFERS]:
            found, accepted = (tuple(s[key].shape) if key in s else None for s in (state, expected))
            if found != accepted:
                raise UserError(
                    f"stylegan.initial: {path} has {key} of {found}; accepted: {accepted}, a model of the same "
                    "preset, size, ratio, noise and discriminator"
                )
        network.load_state_dict({key: expected[key] if key in BUFFERS else state[key] for key in expected})
    gan.generator.ema.load_state_dict(gan.generator.raw.state_dict())


def snapshot_callback(sampler: Sampler, folder: Path, total: int) -> Callable[[int, int], None]:
    """A callback for every step that saves portraits of the same seeds, `SNAPSHOTS` times in `total` steps."""
    seeds = range(SNAPSHOT_SIDE**2)
    codes, slots = sampler.codes(seeds), sampler.slots(seeds)

    def save_snapshot(step: int, images: int) -> None:
        """Saves a sheet after a step, when it is due."""
        if (step + 1) % max(total // SNAPSHOTS, 1) == 0:
            rows = np.split(sampler.generate(sampler.styles(codes, slots)), SNAPSHOT_SIDE)
            grid = image_grid([list(row) for row in rows], cell=sampler.generator.height)
            save_picture(grid, folder / f"samples-{images:09d}.png")

    return save_snapshot


def overfitting_gauge(
    gan: StyleGan, training: StylePortraits, unseen: StylePortraits
) -> Callable[[int], dict[str, float]]:
    """A function of the step that tells the discriminator's mean logits of portraits that it watches, and `overfit`.

    `overfit` is the share of the way from generated to training portraits that the held-out ones lack: 0 where the
    discriminator cannot tell them from those of the training, 1 where it takes them for generated (Karras et al. 2020,
    https://arxiv.org/abs/2006.06676, equation 1, r_v). Of each kind there are as many, and all are shown to the same
    weights, since the level of the logits moves from step to step.

    Args:
        gan: the networks.
        training: portraits of the training.
        unseen: held-out portraits; without any nothing is watched.
    """
    count = min(len(training), len(unseen), WATCHED)
    count -= count % GROUP if count > GROUP else 0
    if not count:
        return lambda step: {}
    items = [rows[index * len(rows) // count] for rows in (training, unseen) for index in range(count)]
    pixels, slots = (torch.stack(tensors).to(device()) for tensors in zip(*items, strict=True))
    conditions = [gan.generator.raw.condition(part) for part in (*slots.chunk(2), slots[:count])]

    @torch.no_grad()
    def watch(step: int) -> dict[str, float]:
        """The mean logits of each kind, and `overfit`."""
        ramp = gan.ramp(step)
        images = [*to_signed_range(pixels).chunk(2), gan.generate(count, conditions[0], ramp)]
        logits = [
            float(gan.discriminator.net(gan.augmented(part), condition, ramp).logits.mean())
            for part, condition in zip(images, conditions, strict=True)
        ]
        real, unseen, fake = logits
        gap = real - fake
        watched = {"watched_training": real, "watched_held_out": unseen, "watched_generated": fake}
        return watched | {"overfit": (real - unseen) / gap if gap else 0.0}

    return watch


@torch.inference_mode()
def finish_generator(generator: StyleGenerator) -> None:
    """Stores the mean of w, around which styles are truncated."""
    random = torch.Generator().manual_seed(0)
    z = torch.randn((MEAN_STYLES, generator.z_dim), generator=random)
    slots = generator.draw_slots(MEAN_STYLES, random)
    generator.w_mean.copy_(generator.map(z.to(device()), generator.condition(slots)).mean(0))
