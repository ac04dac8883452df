"""GauGAN in training: generator and discriminator, their losses, and the phases of a step.

Source: Park et al. 2019 (https://arxiv.org/abs/1903.07291), section 4. The phases are those of StyleGAN's published
training code: each accumulates the gradients of one network.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.optim import Adam

from facemill.config.synthesize import GauganConfig
from facemill.errors import UserError
from facemill.log import log
from facemill.networks.diff_augment import DiffAugment
from facemill.networks.patch_discriminator import Discriminator
from facemill.networks.perceptual import PerceptualLoss, unet_loss, vgg_loss
from facemill.networks.segmentation_discriminator import SegmentationDiscriminator
from facemill.networks.segmentation_gan_losses import LABEL_MIX_WEIGHT, balancing_weights
from facemill.networks.spade import PRESETS, Generator, add_spectral_norm, one_hot
from facemill.synthesize.adversarial import PatchOutput, SegmentationOutput
from facemill.training.learner import EmaLearner, Learner
from facemill.training.optimization import linear_decay

Phase = Literal["generator", "discriminator"]
PHASES: tuple[Phase, ...] = ("generator", "discriminator")
"""The networks in the order in which a step accumulates their gradients."""


@dataclass
class ForwardPass:
    """A part of a batch after the forward pass that both phases share.

    Attributes:
        real: images (B, 3, H, W) in [-1, 1].
        fake: generated images of the same masks, with a graph to the generator.
        output: what the discriminator says of both.
    """

    real: Tensor
    fake: Tensor
    output: PatchOutput | SegmentationOutput


@dataclass
class Gan:
    """Generator and discriminator in training, and their losses.

    Adversarial losses and feature matching follow from what the discriminator says (`adversarial.py`); the generator
    has a perceptual loss besides, where the settings name one (Park et al. 2019, section 4).
    """

    accelerator: Accelerator
    generator: EmaLearner[Generator]
    discriminator: Learner[Any]
    perceptual: PerceptualLoss | None
    settings: GauganConfig

    @property
    def learners(self) -> dict[str, Learner[Any]]:
        """The learner of each phase."""
        return {"generator": self.generator, "discriminator": self.discriminator}

    def step(self, real: Tensor, masks: Tensor, z: Tensor, step: int) -> dict[str, Tensor]:
        """One training step of both networks; returns the mean losses.

        The batch is computed in `grad_accumulation` parts, whose gradients add up: less memory, and the same step but
        for the statistics of batch norm.

        Args:
            real: images (B, 3, H, W) in [-1, 1].
            masks: class ids (B, H, W).
            z: style codes (B, z_dim).
            step: number of the step.
        """
        parts = self.settings.grad_accumulation
        weights = self.class_weights(masks) if self.settings.discriminator == "segmentation" else None
        means: dict[str, Tensor] = {}
        for part in zip(real.chunk(parts), masks.chunk(parts), z.chunk(parts), strict=True):
            share = len(part[0]) / len(real)
            forward_pass = self.forward(*part, weights)
            for phase in PHASES:
                for name, loss in self.accumulate_gradients(phase, forward_pass, share).items():
                    means[name] = means.get(name, torch.zeros(())) + loss.detach() * share
        for phase in PHASES:
            self.learners[phase].update(step)
        return means

    def class_weights(self, masks: Tensor) -> Tensor:
        """The weights that balance the classes in a batch, those of all processes together: (C,)."""
        shares = one_hot(masks, self.generator.raw.classes).mean((0, 2, 3))
        return balancing_weights(self.accelerator.reduce(shares, "mean"))

    def forward(self, real: Tensor, masks: Tensor, z: Tensor, class_weights: Tensor | None = None) -> ForwardPass:
        """Generates images, and calls the discriminator on them and on the real ones.

        Before the discriminator gets them, images and masks are augmented, the real and the generated ones the same
        way. All of its calls have the same weights, whose spectral norm is computed once.

        Args:
            real: images (B, 3, H, W) in [-1, 1].
            masks: class ids (B, H, W).
            z: style codes (B, z_dim).
            class_weights: weights (C,) for the discriminator that segments; None for the others.
        """
        mask, (batch, height, width) = one_hot(masks, self.generator.raw.classes), masks.shape
        fake = self.generator.net(masks, z)
        shown_real, shown_fake = real, fake
        if self.settings.diff_augment:
            augment = DiffAugment(batch, height, width, masks.device)
            (shown_real, mask), shown_fake = augment(real, mask), augment.images(fake)
        shown = (self.discriminator.net, shown_real, shown_fake, mask)
        with parametrize.cached():
            output = PatchOutput.of(*shown) if class_weights is None else SegmentationOutput.of(*shown, class_weights)
        return ForwardPass(real, fake, output)

    def accumulate_gradients(self, phase: Phase, forward_pass: ForwardPass, share: float) -> dict[str, Tensor]:
        """Adds the gradients of one network's losses, weighted and times `share`; returns the losses unweighted."""
        if phase == "generator":
            losses = self.generator_losses(forward_pass)
        else:
            losses = forward_pass.output.discriminator_losses()
        weights = {"feature_matching": self.settings.feature_matching_weight, "label_mix": LABEL_MIX_WEIGHT}
        weights |= {"perceptual": self.settings.perceptual_weight}
        total = torch.stack([weights.get(name, 1) * loss for name, loss in losses.items()]).sum()
        # the later phase goes through the same output of the generated images
        inputs = [*self.learners[phase].raw.parameters()]
        self.accelerator.backward(share * total, inputs=inputs, retain_graph=phase != PHASES[-1])
        return losses

    def generator_losses(self, forward_pass: ForwardPass) -> dict[str, Tensor]:
        """Scalar losses of the generator."""
        losses = forward_pass.output.generator_losses()
        if self.perceptual:
            with self.accelerator.autocast():  # unlike the networks in training, it is not called through Accelerate
                losses["perceptual"] = self.perceptual(forward_pass.fake, forward_pass.real)
        return losses


def build_gan(
    accelerator: Accelerator, settings: GauganConfig, init_kwargs: dict[str, Any], perceptual_unet: Path | None = None
) -> Gan:
    """New networks with their optimizers.

    Half the learning rate for the generator, twice for the discriminator: the two time-scale update rule (TTUR,
    Heusel et al. 2017). Both decay linearly.

    Args:
        accelerator: from `make_accelerator`.
        settings: the section `gaugan`.
        init_kwargs: the arguments of `Generator`.
        perceptual_unet: the U-Net of the setting `perceptual: unet`, a safetensors file.
    """
    lr, total = settings.training.learning_rate, settings.training.steps
    generator, discriminator = Generator(**init_kwargs), new_discriminator(settings, init_kwargs["classes"])
    add_spectral_norm(generator)
    for network in (generator, discriminator):
        network.to(memory_format=torch.channels_last)
    adam_g, adam_d = (Adam(n.parameters(), betas=(0.0, 0.9), fused=True) for n in (generator, discriminator))
    perceptual = perceptual_loss(settings, perceptual_unet)
    return Gan(
        accelerator,
        EmaLearner(accelerator, generator, adam_g, lambda step: lr / 2 * linear_decay(step, total)),
        Learner(accelerator, discriminator, adam_d, lambda step: lr * 2 * linear_decay(step, total)),
        perceptual.to(accelerator.device) if perceptual else None,
        settings,
    )


def new_discriminator(settings: GauganConfig, classes: int) -> nn.Module:
    """The discriminator of the settings, with random weights and spectral norm."""
    preset = PRESETS[settings.preset]
    if settings.discriminator == "segmentation":
        network = SegmentationDiscriminator(ndf=preset.segmentation_ndf, classes=classes)
        add_spectral_norm(network.down)
        add_spectral_norm(network.up)
        return network
    patches = Discriminator(ndf=preset.ndf, classes=classes)
    add_spectral_norm(patches)
    return patches


def perceptual_loss(settings: GauganConfig, unet: Path | None) -> PerceptualLoss | None:
    """The perceptual loss of the settings, in the features of VGG or of a U-Net, or None.

    Raises:
        UserError: The settings ask for a U-Net, and none is given.
    """
    if settings.perceptual == "vgg" and settings.vgg_weights:
        return vgg_loss(settings.vgg_weights)
    if settings.perceptual == "unet":
        if unet is None:
            raise UserError("gaugan.perceptual: found unet, but no --perceptual-unet; accepted: a U-Net's model file")
        return unet_loss(unet)
    log.info("gaugan: gaugan.perceptual is none, so the perceptual loss is left out")
    return None


def generator_kwargs(settings: GauganConfig, classes: int, size: int, ratio: int, z_dim: int) -> dict[str, Any]:
    """The arguments of `Generator`, from the preset, the classes, the portraits' shape and the encoder's `z_dim`."""
    preset = PRESETS[settings.preset]
    init_kwargs = {"classes": classes, "size": size, "ratio": ratio, "ngf": preset.ngf, "nhidden": preset.nhidden}
    return init_kwargs | {"z": settings.z, "z_dim": 0 if settings.z == "none" else z_dim}
