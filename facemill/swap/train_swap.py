"""Training of a face swap: one encoder, and a decoder for each person's face."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from PIL import Image
from torch import Tensor

from facemill.config.fields import TrainingConfig
from facemill.config.swap import SwapConfig
from facemill.data.batching import evenly_spaced
from facemill.data.synthetic import Mark, write_marked
from facemill.errors import UserError
from facemill.imaging.figures import image_grid
from facemill.log import log
from facemill.networks.device import autocast, device
from facemill.networks.face_swap import SIDES, FaceSwap, Side
from facemill.networks.ssim import ssim
from facemill.networks.store import load_model, save_model
from facemill.swap.face_batches import Batch, face_batches, stack_faces
from facemill.swap.faces import read_faces
from facemill.training.learner import EmaLearner
from facemill.training.optimization import linear_decay, make_accelerator
from facemill.training.run import Run

TOGETHER = 0.2
"""Share of the steps in which one decoder draws both people; it then becomes the decoder of each."""
BETAS = (0.9, 0.99)
"""Adam's."""
FEW = 50
"""Fewer faces of a person than these are named in the log."""
PREVIEWS = 8
"""Grids under `work/`, the last one at the training's end."""
SHOWN = 8
"""Held-out faces of each person in a grid, always the same."""


def train_swap(
    *, settings: SwapConfig, seed: int, a: Path, b: Path, initial: Path | None = None, model: Path, curves: Path
) -> None:
    """Trains the exchange of two people's faces; the same command resumes a killed run.

    The loss of each face is the mean absolute difference and 1 less the structural similarity, both weighted by the
    face's mask, and the mean absolute difference of the mask. Adam; the learning rate is constant, then falls linearly.

    Args:
        settings: the section `swap`.
        seed: seed of weights, order and augmentation.
        a: `faces.parquet` of one person.
        b: that of the other.
        initial: an earlier model of the same preset and size, whose encoder the training starts from: a safetensors
            file, or the folder that holds it as `model.safetensors`.
        model: the EMA of the trained network, a safetensors file.
        curves: CSV of the losses.
    """
    torch.manual_seed(seed)
    accelerator = make_accelerator()
    sides = [learned_faces(path, settings).to(accelerator.device) for path in (a, b)]
    check_sides(sides)
    learner = build_learner(accelerator, settings, initial)
    key = {"seed": seed} | settings.model_dump(mode="json", include={"every", "size", "preset", "initial", "training"})
    weights = initial / "model.safetensors" if initial and initial.is_dir() else initial
    run = Run("swap", key, [path for path in (a, b, weights) if path], {"swap": learner})
    images, batch, total = settings.training.images, settings.training.batch, settings.training.steps
    apart = round(TOGETHER * total)
    show = preview_callback(
        learner, run, [held_out_faces(path, settings.size) for path in (a, b)], settings.training, apart
    )
    batches = face_batches(sides, batch, seed, run.step)
    for step, faces in zip(run.steps(images, batch, seed), batches, strict=False):
        if step == apart:
            copy_decoder(learner)
        losses = swap_losses(learner, faces, apart=step >= apart)
        learner.step(torch.stack([*losses.values()]).sum(), step)
        run.record(**losses)
        show(step)
    save_model(model, learner.ema, {"preset": settings.preset, "size": settings.size}, key | {"images": total * batch})
    run.finish(curves)


def learned_faces(path: Path, settings: SwapConfig) -> Tensor:
    """The faces of a table that are learned from: uint8 (N, 5, 2 * size, 2 * size).

    Raises:
        UserError: There is none.
    """
    faces = read_faces(path, held_out=False, every=settings.every)
    if not faces:
        raise UserError(f"{path}: found no face to learn from; accepted: 1 or more, neither rejected nor held out")
    if len(faces) < FEW:
        log.warning("%s: %d faces to learn from; expressions that they lack cannot be drawn", path, len(faces))
    return stack_faces(faces, 2 * settings.size)


def check_sides(sides: Sequence[Tensor]) -> None:
    """Raises `UserError` when half of a person's faces are the other's, too.

    Args:
        sides: of a and of b, from `learned_faces`.
    """
    a, b = ({hashlib.sha256(face.cpu().numpy().tobytes()).digest() for face in faces} for faces in sides)
    if 2 * len(a & b) >= min(len(a), len(b)):
        raise UserError(f"swap.b: found {len(a & b)} of the faces in swap.a; accepted: another person's film or photos")


def build_learner(accelerator: Accelerator, settings: SwapConfig, initial: Path | None) -> EmaLearner[FaceSwap]:
    """A network with its optimizer, ready to train.

    Args:
        accelerator: from `make_accelerator`.
        settings: preset, size, and the training's length and learning rate.
        initial: an earlier model, from which the encoder is taken.

    Raises:
        UserError: The earlier model is of another preset or size.
    """
    network = FaceSwap(preset=settings.preset, size=settings.size).to(memory_format=torch.channels_last)
    if initial:
        earlier = load_model(FaceSwap, initial)
        found, accepted = (f"preset {net.preset}, size {net.size}" for net in (earlier, network))
        if found != accepted:
            raise UserError(f"swap.initial: found a model of {found}; accepted: {accepted}")
        network.encoder.load_state_dict(earlier.encoder.state_dict())
    training = settings.training
    optimizer = torch.optim.Adam(network.parameters(), training.learning_rate, BETAS, fused=True)

    def learning_rate(step: int) -> float:
        """The rate at a step."""
        return training.learning_rate * linear_decay(step, training.steps)

    return EmaLearner(accelerator, network, optimizer, learning_rate)


def copy_decoder(learner: EmaLearner[FaceSwap]) -> None:
    """Makes the decoder of b one of a: its weights, their EMA, and the optimizer's moments."""
    for network in (learner.raw, learner.ema):
        network.decoders["b"].load_state_dict(network.decoders["a"].state_dict())
    state = learner.optimizer.optimizer.state
    pairs = zip(*(learner.raw.decoders[side].parameters() for side in SIDES), strict=True)
    state |= {
        weight_b: {name: value.clone() for name, value in state[weight_a].items()} for weight_a, weight_b in pairs
    }


def swap_losses(learner: EmaLearner[FaceSwap], faces: Batch, *, apart: bool) -> dict[str, Tensor]:
    """The losses of a batch: of either side's faces, `loss_a` and `loss_b`, and of all their masks, `mask`.

    Args:
        learner: the network in training.
        faces: those of a, and as many of b.
        apart: whether each side has its own decoder; else that of a draws both.
    """
    network = learner.raw
    with learner.accelerator.autocast():
        features = network.encoder(faces.inputs).chunk(len(SIDES))
        drawn = [network.decode(code, side if apart else "a") for code, side in zip(features, SIDES, strict=True)]
    both = torch.cat(drawn)
    return image_losses(both[:, :3], faces) | {"mask": mask_loss(both[:, 3:], faces)}


def image_losses(drawn: Tensor, faces: Batch) -> dict[str, Tensor]:
    """Weighted mean absolute difference, and 1 less structural similarity, of either half of a batch.

    Args:
        drawn: float32 (N, 3, S, S) in [0, 1].
        faces: what should have been drawn.
    """
    faults = (drawn - faces.targets).abs() + 1 - ssim(drawn, faces.targets)
    weighted, weights = faults.mean(1, keepdim=True) * faces.weights, faces.weights
    halves = zip(SIDES, weighted.chunk(2), weights.chunk(2), strict=True)
    return {f"loss_{side}": fault.sum() / weight.sum() for side, fault, weight in halves}


def mask_loss(drawn: Tensor, faces: Batch) -> Tensor:
    """Mean absolute difference of masks, float32 (N, 1, S, S), over the pixels that lie in the frame."""
    inside = faces.weights > 0
    return ((drawn - faces.masks).abs() * inside).sum() / inside.sum()


def held_out_faces(path: Path, size: int) -> Tensor:
    """Some held-out faces of a table, of all where none is held out: float32 (N, 3, size, size) in [0, 1]."""
    faces = read_faces(path, held_out=True) or read_faces(path)
    chosen = [faces[i] for i in evenly_spaced(len(faces), SHOWN)]
    return stack_faces(chosen, size)[:, :3].float() / 255


def preview_callback(
    learner: EmaLearner[FaceSwap], run: Run, shown: Sequence[Tensor], training: TrainingConfig, apart: int
) -> Callable[[int], None]:
    """A callback for every step that draws held-out faces, at `PREVIEWS` steps.

    Args:
        learner: the network in training.
        run: its run.
        shown: faces of a and of b, float32 (N, 3, S, S).
        training: its length and batch size.
        apart: the first step in which each side has its own decoder.
    """
    points = {max(1, round(training.steps * number / PREVIEWS)) - 1 for number in range(1, PREVIEWS + 1)}

    def show(step: int) -> None:
        """Writes the grid, if it is its turn."""
        if step in points:
            drawn: tuple[Side, Side] = ("a", "b") if step >= apart else ("a", "a")
            images = (step + 1) * training.batch
            grid = np.asarray(preview(learner.ema, shown, drawn))
            mark = Mark("compositeWithTrainedAlgorithmicMedia")
            write_marked(run.folder / f"preview-{images:09d}.png", grid, mark)

    return show


@torch.no_grad()
def preview(network: FaceSwap, shown: Sequence[Tensor], decoders: tuple[Side, Side]) -> Image.Image:
    """A grid: faces of a, as a, as b; faces of b, as b, as a.

    Args:
        network: in evaluation mode.
        shown: faces of a and of b, float32 (N, 3, S, S) in [0, 1].
        decoders: those that draw a and b.
    """
    rows: list[Tensor] = []
    for faces, order in zip(shown, (decoders, decoders[::-1]), strict=True):
        with autocast():
            features = network.encoder(faces.to(device(), memory_format=torch.channels_last))
            rows += [faces, *(network.decode(features, side)[:, :3].cpu() for side in order)]
    pixels = [(row.permute(0, 2, 3, 1) * 255).round().byte().numpy() for row in rows]
    captions = [
        f"{who}{as_whom}"
        for who, other in zip("AB", "BA", strict=True)
        for as_whom in ("", f" as {who}", f" as {other}")
    ]
    return image_grid([list(row) for row in pixels], captions=captions)
