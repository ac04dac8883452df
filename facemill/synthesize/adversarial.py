"""What a discriminator says of real and generated images, and the losses of that: a class for each discriminator."""

from dataclasses import dataclass
from typing import Self

from torch import Tensor, nn

from facemill.networks.gan_losses import feature_matching_loss, hinge_loss_discriminator, hinge_loss_generator
from facemill.networks.segmentation_gan_losses import class_loss, fake_loss, label_mix, label_mix_loss, random_mix


@dataclass
class PatchOutput:
    """Features by the discriminators of patches (`Discriminator`), which are given the mask.

    Attributes:
        real: of the real images, with a graph to the discriminators.
        fake: of the generated images, with a graph to the generator, too.
    """

    real: list[list[Tensor]]
    fake: list[list[Tensor]]

    @classmethod
    def of(cls, discriminator: nn.Module, real: Tensor, fake: Tensor, mask: Tensor) -> Self:
        """The output for images (B, 3, H, W) in [-1, 1] with a one-hot mask (B, C, H, W)."""
        return cls(discriminator(real, mask), discriminator(fake, mask))

    def generator_losses(self) -> dict[str, Tensor]:
        """Hinge loss and feature matching, scalars (Park et al. 2019, section 4)."""
        matching = feature_matching_loss(self.real, self.fake)
        return {"adversarial_g": hinge_loss_generator(self.fake), "feature_matching": matching}

    def discriminator_losses(self) -> dict[str, Tensor]:
        """Hinge loss, a scalar."""
        return {"adversarial_d": hinge_loss_discriminator(self.real, self.fake)}


@dataclass
class SegmentationOutput:
    """Features and logits (B, C + 1, H, W) by the discriminator that segments (`SegmentationDiscriminator`).

    Attributes:
        real: of the real images, with a graph to the discriminator.
        fake: of the generated images, with a graph to the generator, too.
        mixed: logits of both, mixed (LabelMix), with a graph to the discriminator.
        mix: where the mixed images are real, (B, 1, H, W).
        mask: the one-hot mask, (B, C, H, W).
        weights: of the classes, (C,).
    """

    real: list[Tensor]
    fake: list[Tensor]
    mixed: Tensor
    mix: Tensor
    mask: Tensor
    weights: Tensor

    @classmethod
    def of(cls, discriminator: nn.Module, real: Tensor, fake: Tensor, mask: Tensor, weights: Tensor) -> Self:
        """The output for images as above, with weights (C,) of the classes."""
        mix = random_mix(mask)
        mixed = label_mix(real, fake.detach(), mix)
        return cls(discriminator(real), discriminator(fake), discriminator(mixed)[-1], mix, mask, weights)

    def generator_losses(self) -> dict[str, Tensor]:
        """Cross-entropy (Schönfeld et al. 2021, equation 3) and feature matching, scalars.

        The paper has no feature matching, and random styles; here it ties the images to the styles of the real ones.
        """
        matching = feature_matching_loss([self.real], [self.fake])
        return {"adversarial_g": class_loss(self.fake[-1], self.mask, self.weights), "feature_matching": matching}

    def discriminator_losses(self) -> dict[str, Tensor]:
        """Cross-entropy (equation 1) and LabelMix (equation 4), scalars."""
        real, fake = self.real[-1], self.fake[-1]
        cross_entropy = class_loss(real, self.mask, self.weights) + fake_loss(fake, self.mask)
        consistency = label_mix_loss(self.mixed, real, fake, self.mix, self.mask)
        return {"adversarial_d": cross_entropy, "label_mix": consistency}
