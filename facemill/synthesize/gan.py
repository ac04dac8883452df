"""GauGAN in training: generator and discriminators, their losses, and the phases of a step.

Source: Park et al. 2019 (https://arxiv.org/abs/1903.07291), section 4. The phases are those of StyleGAN's published
training code: each accumulates the gradients of one network.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn.utils import parametrize
from torch.optim import Adam

from facemill.config.synthesize import GauganConfig
from facemill.log import log
from facemill.networks.diff_augment import DiffAugment
from facemill.networks.gan_losses import feature_matching_loss, hinge_loss_discriminator, hinge_loss_generator
from facemill.networks.patch_discriminator import Discriminator
from facemill.networks.spade import PRESETS, Generator, add_spectral_norm, one_hot
from facemill.networks.vgg import PerceptualLoss
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
        real_features: the discriminators' features of the real images, with a graph to the discriminators.
        fake_features: those of the generated images, with a graph to both networks.
    """

    real: Tensor
    fake: Tensor
    real_features: list[list[Tensor]]
    fake_features: list[list[Tensor]]


@dataclass
class Gan:
    """Generator and discriminators in training, and their losses.

    Hinge, feature matching, and the perceptual loss where VGG weights are given (Park et al. 2019, section 4).
    """

    accelerator: Accelerator
    generator: EmaLearner[Generator]
    discriminator: Learner[Discriminator]
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
        means: dict[str, Tensor] = {}
        for part in zip(real.chunk(parts), masks.chunk(parts), z.chunk(parts), strict=True):
            share = len(part[0]) / len(real)
            forward_pass = self.forward(*part)
            for phase in PHASES:
                for name, loss in self.accumulate_gradients(phase, forward_pass, share).items():
                    means[name] = means.get(name, torch.zeros(())) + loss.detach() * share
        for phase in PHASES:
            self.learners[phase].update(step)
        return means

    def forward(self, real: Tensor, masks: Tensor, z: Tensor) -> ForwardPass:
        """Generates images, and computes the discriminators' features of them and of the real ones.

        Before the discriminators get them, images and masks are augmented, the real and the generated ones the same
        way. Both calls of the discriminators have the same weights, whose spectral norm is computed once.
        """
        mask, (batch, height, width) = one_hot(masks, self.generator.raw.classes), masks.shape
        augment = DiffAugment(batch, height, width, masks.device) if self.settings.diff_augment else _identity
        fake = self.generator.net(masks, z)
        with parametrize.cached():
            features = [self.discriminator.net(*augment(images, mask)) for images in (real, fake)]
        return ForwardPass(real, fake, *features)

    def accumulate_gradients(self, phase: Phase, forward_pass: ForwardPass, share: float) -> dict[str, Tensor]:
        """Adds the gradients of one network's losses, weighted and times `share`; returns the losses unweighted."""
        losses = (
            self.generator_losses(forward_pass) if phase == "generator" else self.discriminator_losses(forward_pass)
        )
        weights = {"feature_matching": self.settings.feature_matching_weight}
        weights |= {"perceptual": self.settings.perceptual_weight}
        total = torch.stack([weights.get(name, 1) * loss for name, loss in losses.items()]).sum()
        # the later phase goes through the same features of the generated images
        inputs = [*self.learners[phase].raw.parameters()]
        self.accelerator.backward(share * total, inputs=inputs, retain_graph=phase != PHASES[-1])
        return losses

    def generator_losses(self, forward_pass: ForwardPass) -> dict[str, Tensor]:
        """Scalar losses of the generator."""
        real_features, fake_features = forward_pass.real_features, forward_pass.fake_features
        losses = {
            "hinge_g": hinge_loss_generator(fake_features),
            "feature_matching": feature_matching_loss(real_features, fake_features),
        }
        if self.perceptual:
            with self.accelerator.autocast():  # unlike the networks in training, VGG is not called through Accelerate
                losses["perceptual"] = self.perceptual(forward_pass.fake, forward_pass.real)
        return losses

    def discriminator_losses(self, forward_pass: ForwardPass) -> dict[str, Tensor]:
        """Scalar loss of the discriminators."""
        return {"hinge_d": hinge_loss_discriminator(forward_pass.real_features, forward_pass.fake_features)}


def _identity(images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    return images, masks


def build_gan(accelerator: Accelerator, settings: GauganConfig, init_kwargs: dict[str, Any]) -> Gan:
    """New networks with their optimizers.

    Half the learning rate for the generator, twice for the discriminators: the two time-scale update rule (TTUR,
    Heusel et al. 2017). Both decay linearly.

    Args:
        accelerator: from `make_accelerator`.
        settings: the section `gaugan`.
        init_kwargs: the arguments of `Generator`.
    """
    lr, total = settings.training.learning_rate, settings.training.steps
    generator = Generator(**init_kwargs)
    discriminator = Discriminator(ndf=PRESETS[settings.preset].ndf, classes=init_kwargs["classes"])
    for network in (generator, discriminator):
        add_spectral_norm(network)
        network.to(memory_format=torch.channels_last)
    adam_g, adam_d = (Adam(n.parameters(), betas=(0.0, 0.9), fused=True) for n in (generator, discriminator))
    perceptual = PerceptualLoss(settings.vgg_weights).to(accelerator.device) if settings.vgg_weights else None
    if perceptual is None:
        log.info("gaugan: gaugan.vgg_weights is null, so the perceptual loss is left out")
    return Gan(
        accelerator,
        EmaLearner(accelerator, generator, adam_g, lambda step: lr / 2 * linear_decay(step, total)),
        Learner(accelerator, discriminator, adam_d, lambda step: lr * 2 * linear_decay(step, total)),
        perceptual,
        settings,
    )


def generator_kwargs(settings: GauganConfig, classes: int, size: int, ratio: int, z_dim: int) -> dict[str, Any]:
    """The arguments of `Generator`, from the preset, the classes, the portraits' shape and the encoder's `z_dim`."""
    preset = PRESETS[settings.preset]
    init_kwargs = {"classes": classes, "size": size, "ratio": ratio, "ngf": preset.ngf, "nhidden": preset.nhidden}
    return init_kwargs | {"z": settings.z, "z_dim": 0 if settings.z == "none" else z_dim}
