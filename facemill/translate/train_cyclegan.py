"""Training of CycleGAN, or of CUT in one direction: portraits of two collections, each in the manner of the other."""

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from facemill.config.ingest import Cropping
from facemill.config.runs import settings_of
from facemill.config.translate import CycleganConfig
from facemill.data.batching import evenly_spaced
from facemill.data.dataset import train_loader
from facemill.data.splits import held_out
from facemill.errors import UserError
from facemill.imaging.figures import image_grid, save_picture
from facemill.inference.translator import Translator
from facemill.log import log
from facemill.networks.store import load_model, model_classes, save_model
from facemill.networks.unet import Unet
from facemill.networks.vae import to_signed_range
from facemill.synthesize.train_gaugan import copy_model
from facemill.training.optimization import make_accelerator
from facemill.training.run import Run
from facemill.translate.cut import build_cut
from facemill.translate.cyclegan import DIRECTIONS, CycleGan, build_cyclegan, generator_kwargs
from facemill.translate.domain_faults import check_domains
from facemill.translate.domains import Domain, training_domains
from facemill.translate.preservation import PreservationLosses
from facemill.translate.sides import check_held_out

POINTS = 8
"""Points of a training whose generators are kept, the last one its end, and grids under `work/`."""
SHOWN = 8
"""Held-out portraits of each collection in a grid."""
CELLS = 8
"""Cells to a side, by whose means it is told whether colors are inverted."""


def train_cyclegan(
    *,
    settings: CycleganConfig,
    seed: int,
    holdout: float,
    paired: bool = False,
    portraits: list[Path],
    masks: list[Path] | None = None,
    other: list[Path],
    unet: Path | None = None,
    other_unet: Path | None = None,
    cropping: Cropping,
    other_run: Path | None = None,
    a2b: list[Path],
    b2a: list[Path] | None = None,
    curves: Path,
) -> None:
    """Trains translations in both directions, by CUT in one; the same command resumes a killed run.

    Args:
        settings: the section `cyclegan`.
        seed: seed of weights, order, pools and augmentation.
        holdout: share of the portraits that is held out; a collection's own test split is not trained on either.
        paired: whether portraits of one id are each other's true answers; then each is in one of the trainings alone.
        portraits: shards of this collection, `a`.
        masks: shards of its masks, for the weights of masks and colors.
        other: shards of the other collection, `b`, with their masks where there are any.
        unet: the U-Net that knows this collection, for the weight of masks.
        other_unet: that of the other.
        cropping: how this collection's portraits were cropped, for whoever gives the models images; in their JSON.
        other_run: the run that the other collection is of, whose settings say how it was cropped; without one the
            other was cropped as this one.
        a2b: the EMA generator of that direction at each point, safetensors files.
        b2a: the same of the other; none where CUT is the method.
        curves: CSV of the losses.
    """
    torch.manual_seed(seed)
    accelerator = make_accelerator()
    domains = training_domains(portraits, other, masks or [], settings, holdout, paired)
    check_collections(domains, (portraits, other), holdout, paired=paired)
    height, width = domains[0][0][0].shape[1:]
    gan = (build_cut if settings.method == "cut" else build_cyclegan)(accelerator, settings, height, width)
    gan.preservation = preservation_losses(settings, unet, other_unet)
    key = {"seed": seed, "holdout": holdout, "paired": paired} | settings.model_dump(mode="json")
    inputs = [path for path in [*portraits, *other, *(masks or []), unet, other_unet] if path]
    run = Run("cyclegan", key, inputs, gan.learners, gan.modules)
    crops = croppings(cropping, other_run, holdout)
    facts = {way: key | {"ratio": height / width} | crops[way] for way in DIRECTIONS}
    reach_point = point_callback(gan, run, facts, (portraits, other), holdout)
    images, batch, draws = settings.training.images, settings.training.batch, torch.Generator()
    loaders = (train_loader(domain, batch // 2, seed + n, run.step) for n, domain in enumerate(domains))
    for step, a, b in zip(run.steps(images, batch, seed), *map(accelerator.prepare, loaders), strict=False):
        (real_a, roles_a), (real_b, roles_b) = half_mirrored(*a), half_mirrored(*b)
        run.record(**gan.step((real_a, real_b), (roles_a, roles_b), step, draws.manual_seed(seed * 1_000_003 + step)))
        reach_point(step)
    if accelerator.is_main_process:
        for way, targets in zip(DIRECTIONS, (a2b, b2a or []), strict=True):
            for number, target in enumerate(targets, 1):
                copy_model(point_file(run.folder, number, way), target)
        run.finish(curves)


def check_collections(
    domains: tuple[Domain, Domain], shards: tuple[Sequence[Path], Sequence[Path]], holdout: float, *, paired: bool
) -> None:
    """Raises `UserError` where two collections do not suit each other, or one holds out too few to choose and measure.

    Args:
        domains: the portraits of both that are trained on.
        shards: of all of their portraits.
        holdout: share of the portraits that is held out.
        paired: whether both show the same persons.
    """
    check_domains(*domains, paired=paired)
    for portraits, choices in product(shards, (True, False)):
        check_held_out(portraits, holdout, choices=choices)


def croppings(cropping: Cropping, other_run: Path | None, holdout: float) -> dict[str, dict[str, Any]]:
    """By direction how the portraits that it translates were cropped, for the models' JSON.

    Args:
        cropping: of this collection.
        other_run: of the other, whose settings say how; without it, or these, it was cropped as this one.
        holdout: share of the portraits that is held out here.

    Raises:
        UserError: The other run held out fewer portraits: its networks have learned from some that are held out here.
    """
    other = settings_of(other_run) if other_run else None
    if other and other.holdout < holdout:
        raise UserError(f"holdout: found {holdout}; accepted: at most that of {other_run}, {other.holdout}")
    both = (cropping, other.portraits.cropping if other else cropping)
    return {way: of.model_dump(mode="json") for way, of in zip(DIRECTIONS, both, strict=True)}


def half_mirrored(pixels: Tensor, roles: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels, uint8 (B, 3, h, w), as images in [-1, 1], and their roles (B, H, W), each mirrored or not, at random."""
    flips = torch.rand((len(pixels), 1, 1, 1), device=pixels.device) < 0.5
    real = to_signed_range(pixels)
    mirrored = torch.where(flips, real.flip(3), real).contiguous(memory_format=torch.channels_last)
    return mirrored, torch.where(flips[:, 0], roles.flip(2), roles)


def preservation_losses(
    settings: CycleganConfig, unet: Path | None, other_unet: Path | None
) -> dict[str, PreservationLosses]:
    """The losses of what translations keep, by direction: into the manner of b its U-Net must see the masks again.

    Raises:
        UserError: The weight of masks is given without a U-Net for each collection.
    """
    if not (settings.mask_weight or settings.color_weight):
        return {}
    losses = {}
    for way, path in zip(DIRECTIONS, (other_unet, unet), strict=True):
        if settings.mask_weight and not path:
            raise UserError("cyclegan.mask_model: found nothing; accepted: a U-Net that knows the other collection")
        network = load_model(Unet, path) if settings.mask_weight and path else None
        losses[way] = PreservationLosses(
            network, model_classes(path) if network and path else None, settings.color_weight > 0
        )
    return losses


def point_file(folder: Path, number: int, way: str) -> Path:
    """Where the training keeps the generator of a point."""
    return folder / "points" / str(number) / f"{way}.safetensors"


def point_callback(
    gan: CycleGan, run: Run, facts: dict[str, dict[str, Any]], shards: tuple[list[Path], list[Path]], holdout: float
) -> Callable[[int], None]:
    """A callback for every step that saves the generators, and shows them, at `POINTS` points of the training.

    Args:
        gan: the networks in training.
        run: their run.
        facts: what the JSON of each direction's generator says besides the images seen.
        shards: of both collections' portraits.
        holdout: share of the portraits that is held out.
    """
    config = gan.settings
    total, batch = config.training.steps, config.training.batch
    ends = {number: max(1, round(total * number / POINTS)) for number in range(1, POINTS + 1)}
    translators = {way: Translator(learner.ema, config.size) for way, learner in gan.generators.items()}
    shown = [held_out_images(paths, config.size, holdout) for paths in shards]

    def reach_point(step: int) -> None:
        """Saves and shows what the step has reached."""
        images, reached = (step + 1) * batch, [number for number, end in ends.items() if end == step + 1]
        if not gan.accelerator.is_main_process:
            return
        for number in reached:
            for way, learner in gan.generators.items():
                path = point_file(run.folder, number, way)
                path.parent.mkdir(parents=True, exist_ok=True)
                save_model(path, learner.ema, generator_kwargs(config), facts[way] | {"images": images})
        if reached and all(map(len, shown)):
            picture = there_and_back(shown, translators)
            save_picture(picture, run.folder / f"translated-{images:09d}.png")

    return reach_point


def warn_of_inversion(images: np.ndarray, translated: np.ndarray, way: str) -> None:
    """Names in the log the channels of CIELAB that a direction inverts, by means of `CELLS` x `CELLS` cells.

    Args:
        images: uint8 RGB (N, h, w, 3).
        translated: of the same shape.
        way: the direction.
    """
    cells = [
        [cv2.resize(image, (CELLS, CELLS), interpolation=cv2.INTER_AREA) for image in of] for of in (images, translated)
    ]
    before, after = (
        np.concatenate([cv2.cvtColor(cell.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).reshape(-1, 3) for cell in of])
        for of in cells
    )
    for channel, name in enumerate(("L*", "a*", "b*")):
        x, y = before[:, channel], after[:, channel]
        if x.std() and y.std() and np.corrcoef(x, y)[0, 1] < 0:
            log.warning("cyclegan: %s inverts %s: bright becomes dark, or a color its opposite", way, name)


def held_out_images(portraits: list[Path], size: int, holdout: float) -> np.ndarray:
    """Some held-out portraits, uint8 RGB (N, h, w, 3)."""
    rows = Domain(portraits, [], size, with_roles=False, keep=lambda row_id: held_out(row_id, holdout))
    chosen = evenly_spaced(len(rows), SHOWN)
    return np.stack([rows[i][0].permute(1, 2, 0).numpy() for i in chosen]) if chosen else np.empty((0,))


def there_and_back(images: list[np.ndarray], translators: dict[str, Translator]) -> Image.Image:
    """A picture: a, a in the manner of b, back again; the same from b. Images are uint8 (N, h, w, 3) each.

    Where there is a translator of one direction alone: what it translates, and that translated.
    """
    rows: list[np.ndarray] = []
    for there, back, pictures in zip(DIRECTIONS, reversed(DIRECTIONS), images, strict=True):
        if there not in translators:
            continue
        translated = translators[there].translate(pictures)
        warn_of_inversion(pictures, translated, there)
        rows += [pictures, translated]
        if back in translators:
            rows.append(translators[back].translate(translated))
    columns = min(map(len, rows))
    return image_grid([list(row[:columns]) for row in rows], cell=images[0].shape[1])
