"""U-Net v5: v3, joined by the tokens of a vision transformer that has seen millions of pictures, and trained on.

DINOv2's features with 92 labels are worth more than 20 points over an ImageNet ResNet's on Pascal (Yang et al. 2025,
UniMatch V2, https://arxiv.org/abs/2410.10777); beside a U-Net's fine features they tell parts of drawings apart (DACoN,
Daiku et al. 2025, https://arxiv.org/abs/2509.14685).
"""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from facemill.config.segment import TokenUnetConfig, UnetTrainConfig
from facemill.data.classes import IGNORE
from facemill.data.dataset import train_loader
from facemill.data.shards import mask_classes
from facemill.networks.device import autocast
from facemill.networks.segmentation_losses import class_weights, cross_entropy_dice
from facemill.networks.store import load_model, save_model
from facemill.networks.timm_networks import load_timm_weights
from facemill.networks.unet import Unet
from facemill.segment.cached_rows import CachedRows, mirrored, warped
from facemill.segment.train_unet import unet_arguments
from facemill.training.learner import EmaLearner
from facemill.training.optimization import cosine_with_warmup, make_accelerator
from facemill.training.run import Run

PROJECTION_RATE = 4
TUNED_RATE = 0.075
"""Learning rates of the tokens' projection, which is new, and of the tuned blocks, over that of all else."""

ROTATION, SCALE = 15, 0.15
"""Largest rotation to either side, in degrees, and change of size of a copy, anew in each step."""

EMA_DECAY = 0.99
"""Of a training of some hundred steps."""


def train_token_unet(
    *,
    settings: TokenUnetConfig,
    unet_settings: UnetTrainConfig,
    initial: Path,
    size: int,
    seed: int,
    train: list[Path],
    model: Path,
    curves: Path,
) -> None:
    """Trains v5 from a finished v3 on, to the last step; the same command resumes a killed run.

    The tokens of frozen blocks are computed once for each copy, in float16, and lie in the run's folder: 2.4 MB for a
    portrait of 256 px. Copies are turned, scaled and mirrored anew in each step, and with a copy its tokens, which
    are nearly those of the other view. Tuned blocks compute theirs anew in each step. The loss is v3's.

    Args:
        settings: the section `token_unet`.
        unet_settings: how v3 was built and trained.
        initial: v3, a finished U-Net.
        size: side of the portraits in pixels.
        seed: seed of weights, order and mirroring.
        train: shards of augmented labelled portraits, those that v3 was validated on, too.
        model: the trained U-Net, a safetensors file.
        curves: CSV of the loss.
    """
    torch.manual_seed(seed)
    accelerator = make_accelerator()
    classes = mask_classes(train)
    v3 = load_model(Unet, initial, classes)
    learner, init_kwargs = build_token_learner(accelerator, settings, unet_settings, v3, size)
    settings_key = unet_settings.model_dump(mode="json")
    settings_key |= {"seed": seed, "token_unet": settings.model_dump(mode="json")}
    run = Run("unet-v5", settings_key, [initial, *train], {"unet": learner})

    rows = CachedRows(train, keep=lambda row_id: int(row_id.rpartition("-")[2]) < settings.copies)
    if not settings.tuned_blocks:
        rows.compute(run.folder / "tokens.npy", partial(frozen_tokens, learner.ema))
    images, batch = settings.training.images, settings.training.batch
    weights = class_weights(unet_settings.class_weights, classes).to(accelerator.device)
    batches = accelerator.prepare(train_loader(rows, batch, seed, run.step))
    for step, loaded in zip(run.steps(images, batch, seed), batches, strict=False):
        pixels, masks, *grid = mirrored(warped(loaded, ROTATION, SCALE))
        loss = cross_entropy_dice(learner.net(pixels.float() / 255, *grid), masks.long(), IGNORE, weights)
        learner.step(loss, step)
        run.record(loss=loss)
    if accelerator.is_main_process:
        save_model(model, learner.ema, init_kwargs, settings_key, classes)
        run.finish(curves)
        (run.folder / "tokens.npy").unlink(missing_ok=True)


def build_token_learner(
    accelerator: Accelerator, settings: TokenUnetConfig, unet_settings: UnetTrainConfig, v3: Unet, size: int
) -> tuple[EmaLearner, dict[str, Any]]:
    """v3 with a transformer's tokens and AdamW, and the arguments of `Unet` that build the network.

    Args:
        accelerator: from `make_accelerator`.
        settings: the section `token_unet`.
        unet_settings: how v3 was built.
        v3: the U-Net to begin with; its logits are those of the new network.
        size: side of the portraits in pixels.
    """
    init_kwargs = unet_arguments(unet_settings, size, v3.head.out_channels) | {"vit": settings.vit}
    unet = Unet(**init_kwargs)
    assert unet.tokens
    unet.tokens.tune(settings.tuned_blocks)
    load_timm_weights(unet.tokens.vit, settings.vit, settings.weights, key="token_unet.weights")
    begin_as(unet, v3)
    unet.to(memory_format=torch.channels_last)
    rates: list[tuple[nn.Module, float]] = [(unet.tokens.project, PROJECTION_RATE), (unet.tokens.vit, TUNED_RATE)]
    rates += [(part, 1) for part in (unet.encoder, unet.blocks, unet.head)]
    groups = [{"params": [p for p in part.parameters() if p.requires_grad], "rate": rate} for part, rate in rates]
    optimizer = torch.optim.AdamW(groups, weight_decay=1e-2, fused=True)
    training = settings.training

    def learning_rate(step: int) -> float:
        """Warmup and cosine, of the parts that are v3's."""
        return training.learning_rate * cosine_with_warmup(step, training.steps)

    return EmaLearner(accelerator, unet, optimizer, learning_rate, EMA_DECAY), init_kwargs


def frozen_tokens(unet: Unet, images: Tensor) -> Tensor:
    """The tokens of images, float16 (B, C, H/8, W/8)."""
    assert unet.tokens
    with autocast():
        return unet.tokens.grid(images).half()


@torch.no_grad()
def begin_as(unet: nn.Module, initial: nn.Module) -> None:
    """Gives a network the weights of another that lacks its last inputs: weights of these inputs become 0."""
    weights = unet.state_dict()
    for name, tensor in initial.state_dict().items():
        weights[name].zero_()
        weights[name][tuple(slice(length) for length in tensor.shape)] = tensor
