"""The device's own precision: bfloat16 against float32, in trainings and in masks; models that are read elsewhere."""

import contextlib
import math
import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from facemill.data.dataset import ShardDataset
from facemill.data.shards import mask_classes
from facemill.inference.backends import Predictions, Stem, TorchBackend, Trunk
from facemill.inference.segmenter import Segmenter
from facemill.networks.device import autocast, bf16
from facemill.networks.store import load_model, save_model
from facemill.networks.unet import Unet
from facemill.segment.train_unet import build_learner
from facemill.training import run as run_module
from facemill.training.learner import EmaLearner, Learner
from facemill.training.optimization import make_accelerator
from facemill.training.run import Run
from gpu_checks import Context, Report, check
from gpu_checks.comparison import BAR, CPU, accelerators, cosine, float32, on, relative
from gpu_checks.trainings import TRAININGS, plain_steps, portrait_size, unet_config, working_folder

NUMBERS = ("confidence", "entropy", "flip_disagreement")
STEP_COSINE = 0.99
"""Least cosine between the gradients of a step in bfloat16 and in float32."""
SAME_PIXELS = (0.999, 0.99)
"""Least share of pixels with the label of the CPU in float32; after a dry run's few steps no class is far ahead."""


@check("correctness")
def labels(context: Context, report: Report) -> None:
    """Labels in the device's precision against the CPU's in float32, and the labeller's against the plain graph's."""
    with working_folder(context) as folder:
        with accelerators(), plain_steps():
            TRAININGS["unet_v3"](context, folder, context.pick(2400, 64), context.pick(8, 4))
        segmenter = Segmenter.load(folder)
    least = context.pick(*SAME_PIXELS)
    rows = ShardDataset(context.data.portraits)
    images = [torch.as_tensor(pixels).permute(1, 2, 0).numpy() for pixels in islice(rows, context.pick(32, 4))]
    with float32():
        expected = Segmenter(on(CPU, segmenter.unet), segmenter.classes).masks(images)
    largest = float(np.bincount(expected.flatten()).max() / expected.size)
    report.bar("share_of_the_largest_class", largest, at_most=context.pick(0.95, 1))  # else all labels are one
    report.bar("segmenter_same_pixels", same_pixels(segmenter.masks(images), expected), at_least=least)
    labeller = TorchBackend(segmenter.unet)
    predictions = labeller(images)
    report.bar("labeller_same_pixels", same_pixels(predictions.masks, expected), at_least=least)

    pixels = torch.from_numpy(np.stack(images)).to(context.device)
    with torch.inference_mode(), autocast():
        plain = Predictions(*(output.cpu().numpy() for output in Trunk(segmenter.unet)(*Stem(segmenter.unet)(pixels))))
    report.bar("plain_same_pixels", same_pixels(predictions.masks, plain.masks), at_least=least)
    numbers = [[torch.from_numpy(getattr(p, name)) for name in NUMBERS] for p in (predictions, plain)]
    report.bar("plain_numbers", relative(*numbers), at_most=1e-2)
    with ThreadPoolExecutor(labeller.concurrency) as pool:
        batches = [images, images[::-1]] * 4
        masks = [labeller(batch).masks for batch in batches]
        together = list(pool.map(lambda batch: labeller(batch).masks, batches))
    report.bar("threads_same_pixels", same_pixels(np.stack(together), np.stack(masks)), at_least=1)


def same_pixels(masks: np.ndarray, expected: np.ndarray) -> float:
    """The share of equal pixels."""
    return float((masks == expected).mean())


def later_step(context: Context, training: str) -> tuple[list[Learner], list[list[Tensor]], list[list[Tensor]]]:
    """The learners of a training after some steps, and each one's gradients in the last, which is done twice.

    Not those of the first step: before the discriminators know real portraits from generated ones, their gradients are
    a small difference of large sums.

    Returns:
        The learners, and their gradients in the device's precision and in float32.
    """
    steps, batch = context.pick(9, 5), context.pick(8, 4)
    record, update = Run.record, Learner.update
    learners: list[Learner] = []
    gradients: list[list[Tensor]] = []

    def record_and_stop(run: Run, **losses: Tensor) -> None:
        record(run, **losses)
        if run.step == steps - 2:
            os.kill(os.getpid(), signal.SIGTERM)

    def noted_update(learner: Learner, step: int) -> None:
        if step == steps - 1:
            learners.append(learner)
            gradients.append([w.grad.clone() for w in learner.raw.parameters() if w.grad is not None])
        update(learner, step)

    with working_folder(context) as folder, plain_steps(), mock.patch.object(Learner, "update", noted_update):
        train = partial(TRAININGS[training], context, folder, steps * batch, batch)
        with accelerators(), mock.patch.object(Run, "record", record_and_stop), contextlib.suppress(SystemExit):
            train()
        shutil.copytree("work", "copy")
        with accelerators():
            train()
        shutil.rmtree("work")
        Path("copy").rename("work")
        with float32():
            train()
    half = len(learners) // 2
    return learners[:half], gradients[:half], gradients[half:]


def steps(context: Context, report: Report) -> None:
    """A step of each training in the device's precision: its gradients, and what is float32 after it."""
    with accelerators():
        report.figure("precision", make_accelerator().mixed_precision)
    report.bar("bfloat16_where_it_is_fast", float((report.figures["precision"] == "bf16") == bf16()), at_least=1)
    images = torch.zeros(2, 3, portrait_size(context), portrait_size(context), device=context.device)
    for training in TRAININGS:
        for learner, gradients, expected in zip(*later_step(context, training), strict=True):
            name = f"{training}_{type(learner.raw).__name__.lower()}"
            report.bar(f"{name}_cosine", cosine(gradients, expected), at_least=STEP_COSINE)
            state = [tensor for module in learner.modules.values() for tensor in module.state_dict().values()]
            state += [value for values in learner.optimizer.state.values() for value in values.values()]
            others = {tensor.dtype for tensor in state if tensor.is_floating_point()} - {torch.float32}
            report.bar(f"{name}_other_dtypes_than_float32", len(others), at_most=0)
            if isinstance(learner.raw, Unet):
                report.figure(f"{name}_logits", str(learner.net(images).dtype))


@check("correctness")
def stored_models(context: Context, report: Report) -> None:
    """A checkpoint and a model that the device wrote, read on the CPU."""
    settings, size = unet_config("v3", context, images=12, batch=4), portrait_size(context)
    classes = mask_classes([context.data.train])
    images = torch.stack([pixels for pixels, _ in islice(ShardDataset([context.data.train]), 4)]).float() / 255

    def build(accelerator: Accelerator) -> tuple[EmaLearner, dict[str, Any], Run]:
        learner, arguments = build_learner(accelerator, settings, settings.training, size, len(classes))
        return learner, arguments, Run("stored", {}, [], {"unet": learner})

    with working_folder(context) as folder:
        with accelerators():
            learner, arguments, run = build(make_accelerator())
            with mock.patch.multiple(run_module, CHECKPOINT_SECONDS=0, CHECKPOINT_SHARE=math.inf):
                for step in run.steps(12, 4, seed=0):
                    learner.step(learner.net(images.to(context.device)).float().square().mean(), step)
        with accelerators():
            read, _, resumed = build(Accelerator(cpu=True, mixed_precision="no"))
        report.bar("steps_of_the_checkpoint", resumed.step, at_least=3)
        save_model(folder / "model.safetensors", learner.ema, arguments, {}, classes)
        with mock.patch("facemill.networks.store.device", lambda: CPU):
            models = {"checkpoint": read.ema, "model": load_model(Unet, folder / "model.safetensors")}
    moments, expected = (
        [part.optimizer.state[weight][key] for weight in part.raw.parameters() for key in ("exp_avg", "exp_avg_sq")]
        for part in (read, learner)
    )
    report.bar("checkpoint_moments", relative(moments, expected), at_most=0)
    for name, unet in models.items():
        state = learner.ema.state_dict()
        report.bar(f"{name}_weights", relative(unet.state_dict().values(), state.values()), at_most=0)
        with torch.inference_mode():
            outputs = unet(images), learner.ema(images.to(context.device))
        report.bar(f"{name}_outputs", relative(outputs[:1], outputs[1:]), at_most=BAR)
    tensors = [*read.raw.parameters(), *models["model"].parameters(), *moments]
    other = [t for t in tensors if t.ndim == 4 and not t.is_contiguous(memory_format=torch.channels_last)]
    report.bar("tensors_not_channels_last", len(other), at_most=0)
