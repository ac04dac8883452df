"""CUT in training: CycleGAN's one direction, whose translations need not be translated back.

Source: Park et al. 2020 (https://arxiv.org/abs/2007.15651), section 3. Translations and identities come out of one call
of the generator, and of another the features of both.
"""

from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Adam

from facemill.config.translate import CycleganConfig
from facemill.networks.patch_nce import Projections, drawn_places, encoded, patch_nce, translated_and_encoded
from facemill.networks.resnet_generator import PRESETS
from facemill.training.learner import Learner
from facemill.translate.cyclegan import BETAS, CycleGan, build_way, learning_rates
from facemill.translate.pool import Pool


@dataclass(kw_only=True)
class Cut(CycleGan):
    """Generator and discriminator of `a2b`, and the projections by which places are told from each other."""

    projections: Learner[Projections]

    @property
    def learners(self) -> dict[str, Learner[Any]]:
        """The learners, by the names that checkpoints have for them."""
        return super().learners | {"projections": self.projections}

    @property
    def modules(self) -> dict[str, nn.Module]:
        """Further modules whose state a checkpoint holds: none, since there is no pool."""
        return {}

    def accumulate_generators(
        self, images: dict[str, Tensor], roles: dict[str, Tensor], share: float
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Adds the gradients of the losses of generator and projections; arguments and result as `CycleGan`'s.

        A portrait's translation, and that of one which is of the other collection already, must show at each place what
        was there (the losses `nce` and `identity`, of weight 1 each, as the paper's).
        """
        both = torch.cat([images["a2b"], images["b2a"]]).contiguous(memory_format=torch.channels_last)
        generator = self.generators["a2b"].raw
        with self.accelerator.autocast():
            translated, before = translated_and_encoded(generator, both)
            places = drawn_places(before)
            with torch.no_grad():
                keys = self.projections.raw(before, places)
            queries = self.projections.raw(encoded(generator, translated), places)
            nce, identity = patch_nce(queries, keys).chunk(2)
        fakes = translated.chunk(2)[0].float()
        losses = self.judged("a2b", images["a2b"], fakes, roles.get("a2b"))
        losses |= {"nce_a2b": nce.mean(), "identity_a2b": identity.mean()}
        self.backward(losses, {}, share)
        return {"a2b": fakes.detach()}, losses


def build_cut(accelerator: Accelerator, settings: CycleganConfig, height: int, width: int) -> Cut:
    """New networks with their optimizers; the arguments are those of `build_cyclegan`."""
    generator, discriminator = build_way(accelerator, settings)
    projections = Projections(PRESETS[settings.preset].width)
    adam = Adam(projections.parameters(), betas=BETAS, fused=True)
    return Cut(
        accelerator,
        {"a2b": generator},
        {"a2b": discriminator},
        {"a2b": Pool(0, (3, height, width))},
        settings,
        projections=Learner(accelerator, projections, adam, learning_rates(settings)),
    )
