"""CycleGAN in training: two generators, two discriminators, and a step of all.

Source: Zhu et al. 2017 (https://arxiv.org/abs/1703.10593), sections 3 and 4, identity of section 5.2. Translations and
identities come out of one call of each generator: instance norm treats each image by itself, so that is the same.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from facemill.config.translate import CycleganConfig
from facemill.networks.cyclegan_losses import discriminator_loss, generator_loss
from facemill.networks.diff_augment import DiffAugment
from facemill.networks.patch_discriminator import PatchDiscriminator
from facemill.networks.resnet_generator import PRESETS, ResnetGenerator, init_weights
from facemill.training.learner import EmaLearner, Learner
from facemill.training.optimization import linear_decay
from facemill.translate.pool import Pool
from facemill.translate.preservation import PreservationLosses

DIRECTIONS = ("a2b", "b2a")
BACK = {"a2b": "b2a", "b2a": "a2b"}
BETAS = (0.5, 0.999)
"""Adam's, as in the published code."""


@dataclass
class CycleGan:
    """Generators by their direction, discriminators and pools by the direction of the translations that they see.

    Attributes:
        preservation: losses of what translations shall keep, by direction; none where their weights are 0.
    """

    accelerator: Accelerator
    generators: dict[str, EmaLearner[ResnetGenerator]]
    discriminators: dict[str, Learner[PatchDiscriminator]]
    pools: dict[str, Pool]
    settings: CycleganConfig
    preservation: dict[str, PreservationLosses] = field(default_factory=dict)

    @property
    def learners(self) -> dict[str, Learner[Any]]:
        """The learners, by the names that checkpoints have for them."""
        generators = {f"generator_{way}": learner for way, learner in self.generators.items()}
        return generators | {f"discriminator_{way}": learner for way, learner in self.discriminators.items()}

    @property
    def modules(self) -> dict[str, nn.Module]:
        """Further modules whose state a checkpoint holds."""
        return {f"pool_{way}": pool for way, pool in self.pools.items()}

    def step(
        self, real: tuple[Tensor, Tensor], roles: tuple[Tensor, Tensor], step: int, random: torch.Generator
    ) -> dict[str, Tensor]:
        """One training step of all networks; returns the mean losses, unweighted.

        Args:
            real: images of both collections (B, 3, h, w) in [-1, 1].
            roles: indices of the roles of their pixels, uint8 (B, H, W).
            step: number of the step.
            random: what the pools draw from, the same in all processes.
        """
        parts = self.settings.grad_accumulation
        means: dict[str, Tensor] = {}
        chunks = [tensor.chunk(parts) for tensor in (*real, *roles)]
        for a, b, roles_a, roles_b in zip(*chunks, strict=True):
            images = {"a2b": a, "b2a": b}
            fakes, losses = self.accumulate_generators(images, {"a2b": roles_a, "b2a": roles_b}, 1 / parts)
            losses |= self.accumulate_discriminators(images, fakes, random, 1 / parts)
            for name, loss in losses.items():
                means[name] = means.get(name, torch.zeros((), device=a.device)) + loss.detach() / parts
        for learner in self.learners.values():
            learner.update(step)
        return means

    def accumulate_generators(
        self, images: dict[str, Tensor], roles: dict[str, Tensor], share: float
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Adds the gradients of the generators' losses, times `share`.

        Args:
            images: what each direction translates.
            roles: of the pixels of these.
            share: of the batch.

        Returns:
            The translations, without a graph, and the losses, unweighted.
        """
        losses, fakes = {}, {}
        for way, back in zip(DIRECTIONS, reversed(DIRECTIONS), strict=True):
            fakes[way], losses[f"identity_{way}"] = self.translate(way, images[way], images[back])
        for way, back in zip(DIRECTIONS, reversed(DIRECTIONS), strict=True):
            losses |= self.judged(way, images[way], fakes[way], roles.get(way))
            losses[f"cycle_{way}"] = F.l1_loss(self.generators[back].net(fakes[way]), images[way])
        weights = {"cycle": self.settings.cycle_weight, "identity": self.settings.identity_weight}
        self.backward(losses, weights, share)
        return {way: fake.detach() for way, fake in fakes.items()}, losses

    def judged(self, way: str, images: Tensor, fakes: Tensor, roles: Tensor | None) -> dict[str, Tensor]:
        """The losses of translations by the discriminator, whose weights get no gradients, and of what they keep."""
        discriminator = self.discriminators[way]
        discriminator.raw.requires_grad_(False)
        losses = {f"gan_{way}": generator_loss(discriminator.net(self.augmented(fakes))[-1])}
        discriminator.raw.requires_grad_(True)
        if way in self.preservation and roles is not None:
            losses |= {
                f"{name}_{way}": loss for name, loss in self.preservation[way].losses(images, fakes, roles).items()
            }
        return losses

    def backward(self, losses: dict[str, Tensor], weights: dict[str, float], share: float) -> None:
        """Adds the gradients of losses with weights, by the first words of their names; others have the weight 1."""
        weights = weights | {"mask": self.settings.mask_weight, "color": self.settings.color_weight}
        total = torch.stack([weights.get(name.split("_")[0], 1) * loss for name, loss in losses.items()]).sum()
        self.accelerator.backward(share * total)

    def translate(self, way: str, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Translations of images, and how far targets, which are of the other collection already, are changed (L1)."""
        if not self.settings.identity_weight:
            return self.generators[way].net(images), images.new_zeros(())
        both = torch.cat([images, targets]).contiguous(memory_format=torch.channels_last)
        fakes, identities = self.generators[way].net(both).chunk(2)
        return fakes, F.l1_loss(identities, targets)

    def accumulate_discriminators(
        self, images: dict[str, Tensor], fakes: dict[str, Tensor], random: torch.Generator, share: float
    ) -> dict[str, Tensor]:
        """Adds the gradients of the discriminators' losses, times `share`; returns the losses."""
        losses = {}
        for way, discriminator in self.discriminators.items():
            pooled = self.exchange(way, fakes[way], random)
            both = torch.cat([images[BACK[way]], pooled]).contiguous(memory_format=torch.channels_last)
            real, fake = discriminator.net(self.augmented(both))[-1].chunk(2)
            losses[f"d_{way}"] = discriminator_loss(real, fake)
            self.accelerator.backward(share * losses[f"d_{way}"])
        return losses

    def exchange(self, way: str, fakes: Tensor, random: torch.Generator) -> Tensor:
        """Images from the pool that all processes share; this process gets as many as it gives."""
        gathered = self.accelerator.gather(fakes)
        start = self.accelerator.process_index * len(fakes)
        return self.pools[way].exchange(gathered, random)[start : start + len(fakes)]

    def augmented(self, images: Tensor) -> Tensor:
        """Images for a discriminator, each with random changes of its own."""
        if not self.settings.diff_augment:
            return images
        batch, _, height, width = images.shape
        return DiffAugment(batch, height, width, images.device).images(images)


def build_cyclegan(accelerator: Accelerator, settings: CycleganConfig, height: int, width: int) -> CycleGan:
    """New networks with their optimizers, and empty pools.

    Args:
        accelerator: from `make_accelerator`.
        settings: the section `cyclegan`.
        height: of the portraits, in pixels.
        width: of the portraits, in pixels.
    """
    generators, discriminators, pools = {}, {}, {}
    for way in DIRECTIONS:
        generators[way], discriminators[way] = build_way(accelerator, settings)
        pools[way] = Pool(settings.pool, (3, height, width)).to(accelerator.device)
    return CycleGan(accelerator, generators, discriminators, pools, settings)


def build_way(
    accelerator: Accelerator, settings: CycleganConfig
) -> tuple[EmaLearner[ResnetGenerator], Learner[PatchDiscriminator]]:
    """A new generator and discriminator with their optimizers."""
    preset, schedule = PRESETS[settings.preset], learning_rates(settings)
    generator = ResnetGenerator(**generator_kwargs(settings))
    discriminator = PatchDiscriminator(ndf=preset.ndf, classes=0, layers=preset.layers)
    discriminator.apply(init_weights)
    for network in (generator, discriminator):
        network.to(memory_format=torch.channels_last)
    adams = [Adam(network.parameters(), betas=BETAS, fused=True) for network in (generator, discriminator)]
    return (
        EmaLearner(accelerator, generator, adams[0], schedule),
        Learner(accelerator, discriminator, adams[1], schedule),
    )


def learning_rates(settings: CycleganConfig) -> Callable[[int], float]:
    """The learning rate as a function of the step's number."""
    return lambda step: settings.training.learning_rate * linear_decay(step, settings.training.steps)


def generator_kwargs(settings: CycleganConfig) -> dict[str, Any]:
    """The arguments of `ResnetGenerator`."""
    preset = PRESETS[settings.preset]
    return {"width": preset.width, "blocks": preset.blocks}
