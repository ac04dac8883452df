"""StyleGAN in training: generator and discriminator, and a step of both.

Sources: Karras et al. 2020 (https://arxiv.org/abs/1912.04958), appendix B (lazy penalty, Adam), and Karras et al. 2019
(https://arxiv.org/abs/1812.04948), section 3.1 (mixing). Both networks move at once, as in Mescheder et al. 2018
(https://arxiv.org/abs/1801.04406), section 2: generated portraits pass through each of them once.
"""

from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.optim import Adam

from facemill.config.stylegan import StyleganConfig
from facemill.networks.diff_augment import DiffAugment
from facemill.networks.mask_generator import MaskGenerator
from facemill.networks.style_discriminator import DiscriminatorOutput, StyleDiscriminator
from facemill.networks.stylegan2 import PRESETS, StyleGenerator
from facemill.networks.stylegan_losses import class_loss, discriminator_loss, generator_loss, gradient_penalty
from facemill.training.learner import EmaLearner, Learner

R1_PIXELS = 64 * 64
"""Number of pixels for which `r1` is given."""
BETA = 0.99
"""Adam's second beta; the first is 0."""
HALF_LIFE = 10_000
"""Images after which weights count half as much in the generator's average, as in StyleGAN2's published training."""


@dataclass
class StyleGan:
    """Generator and discriminator in training."""

    accelerator: Accelerator
    generator: EmaLearner[StyleGenerator]
    discriminator: Learner[StyleDiscriminator]
    settings: StyleganConfig

    @property
    def learners(self) -> dict[str, Learner[Any]]:
        """The learners, by the names that checkpoints have for them."""
        return {"generator": self.generator, "discriminator": self.discriminator}

    def step(self, real: Tensor, slots: Tensor, step: int) -> dict[str, Tensor]:
        """One training step of both networks; returns the mean losses and logits.

        Args:
            real: images (B, 3, H, W) in [-1, 1].
            slots: of the conditions of these, int64 (B, groups); generated portraits are asked for the same.
            step: number of the step.
        """
        parts = self.settings.grad_accumulation
        means: dict[str, Tensor] = {}
        for part in zip(real.chunk(parts), slots.chunk(parts), strict=True):
            for name, value in self.accumulate_gradients(*part, step, share=1 / parts).items():
                means[name] = means.get(name, torch.zeros((), device=real.device)) + value.detach() / parts
        for learner in self.learners.values():
            learner.update(step)
        return means

    def accumulate_gradients(self, real: Tensor, slots: Tensor, step: int, share: float) -> dict[str, Tensor]:
        """Adds the gradients of both networks' losses, times `share`; returns losses and logits.

        The penalty is of gradients by the images that the discriminator sees, after their augmentation.
        """
        settings, ramp = self.settings, self.ramp(step)
        condition = self.generator.raw.condition(slots)
        penalized = step % settings.penalty_every == 0
        fakes = self.augmented(self.generate(len(real), condition, ramp))
        reals = self.augmented(real).requires_grad_(penalized)
        leaf = fakes.detach().requires_grad_()
        of_fakes = self.discriminator.net(leaf, condition, ramp)
        of_reals = self.discriminator.net(reals, condition, ramp)
        weight = settings.condition_weight * ramp

        loss_g = generator_loss(settings.loss, of_fakes.logits, of_reals.logits.detach())
        loss_g = loss_g + weight * self._class_loss(of_fakes, slots)
        (gradient,) = torch.autograd.grad(share * loss_g, leaf, retain_graph=True)
        fakes.backward(gradient)

        loss_d = discriminator_loss(settings.loss, of_fakes.logits, of_reals.logits)
        loss_d = loss_d + weight * self._class_loss(of_reals, slots)
        penalty = torch.zeros((), device=real.device)
        if penalized:
            penalty = gradient_penalty(of_reals.logits, reals)
            if settings.loss == "relativistic":
                penalty = penalty + gradient_penalty(of_fakes.logits, leaf)
        pixels = real.shape[2] * real.shape[3] / R1_PIXELS
        total = loss_d + settings.penalty_every * settings.r1 * pixels * penalty
        self.accelerator.backward(share * total, inputs=list(self.discriminator.raw.parameters()))
        return {
            "loss_g": loss_g,
            "loss_d": loss_d,
            "penalty": settings.penalty_every * penalty,  # of the steps without one it is 0
            "logit_real": of_reals.logits.mean(),
            "logit_fake": of_fakes.logits.mean(),
        }

    def generate(self, count: int, condition: Tensor | None, ramp: float) -> Tensor:
        """Images (count, 3, H, W) with a graph to the generator, of random codes, in some steps of two that mix."""
        generator, device = self.generator.raw, self.accelerator.device
        z, second = torch.randn((2, count, generator.z_dim), device=device)
        mixes = bool(torch.rand(()) < self.settings.style_mixing)
        crossover = int(torch.randint(1, generator.layers, ()))
        noise = generator.draw_noise(count) if self.settings.noise else None
        images: Tensor = self.generator.net(z, condition, ramp, second if mixes else None, crossover, noise)
        return images

    def augmented(self, images: Tensor) -> Tensor:
        """Images for the discriminator, each with random changes of its own."""
        if not self.settings.diff_augment:
            return images
        batch, _, height, width = images.shape
        return DiffAugment(batch, height, width, images.device, self.settings.diff_augment).images(images)

    def ramp(self, step: int) -> float:
        """The factor of conditions: from 0 to 1 between two shares of the training (Shahbazi et al. 2022)."""
        start, end = (share * self.settings.training.steps for share in self.settings.condition_ramp)
        return min(max((step - start) / max(end - start, 1), 0.0), 1.0)

    def _class_loss(self, output: DiscriminatorOutput, slots: Tensor) -> Tensor:
        return class_loss(output.classes, slots) if output.classes else output.logits.new_zeros(())


def build_gan(
    accelerator: Accelerator,
    settings: StyleganConfig,
    ratio: int,
    names: dict[str, list[str]],
    combinations: Tensor,
    shares: Tensor,
    classes: int | None = None,
) -> StyleGan:
    """New networks with their optimizers.

    The discriminator's Adam is that of a step with a penalty in each, at `penalty_every` in place of
    `penalty_every + 1` steps (Karras et al. 2020, appendix B).

    Args:
        accelerator: from `make_accelerator`.
        settings: the section `stylegan`.
        ratio: height : width of the portraits.
        names: by group the names that can be asked for.
        combinations: slots of the groups in the portraits, int64 (C, groups).
        shares: the share of each, float32 (C,).
        classes: of masks, where these are generated in place of portraits.
    """
    kind = MaskGenerator if classes else StyleGenerator
    generator = kind(**generator_kwargs(settings, ratio, names, len(combinations), classes))
    generator.combinations.copy_(combinations)
    generator.shares.copy_(shares)
    discriminator = StyleDiscriminator(**discriminator_kwargs(settings, ratio, generator.slots, classes))
    for network in (generator, discriminator):
        network.to(memory_format=torch.channels_last)
    lr, lazy = settings.training.learning_rate, settings.penalty_every / (settings.penalty_every + 1)
    adam_g = Adam(generator.parameters(), betas=(0.0, BETA), fused=True)
    adam_d = Adam(discriminator.parameters(), betas=(0.0, BETA**lazy), fused=True)
    return StyleGan(
        accelerator,
        EmaLearner(accelerator, generator, adam_g, lambda step: lr, decay=0.5 ** (settings.training.batch / HALF_LIFE)),
        Learner(accelerator, discriminator, adam_d, lambda step: lr * lazy),
        settings,
    )


def generator_kwargs(
    settings: StyleganConfig, ratio: int, names: dict[str, list[str]], combinations: int, classes: int | None = None
) -> dict[str, Any]:
    """The arguments of `StyleGenerator`, or of the `MaskGenerator` of so many classes."""
    preset = PRESETS[settings.preset]
    return {
        "height": settings.size,
        "ratio": ratio,
        "channels": preset.channels(settings.size // ratio),
        "z_dim": preset.z_dim,
        "w_dim": preset.w_dim,
        "mapping": preset.mapping,
        "noise": settings.noise,
        "conditions": names,
        "combinations": combinations,
        "colors": classes or 3,
    }


def discriminator_kwargs(
    settings: StyleganConfig, ratio: int, slots: list[int], classes: int | None = None
) -> dict[str, Any]:
    """The arguments of `StyleDiscriminator`, of portraits or of masks of so many classes."""
    return {
        "channels": PRESETS[settings.preset].channels(settings.size // ratio),
        "ratio": ratio,
        "slots": slots,
        "conditioning": settings.discriminator,
        "colors": classes or 3,
    }
