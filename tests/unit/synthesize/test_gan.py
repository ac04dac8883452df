"""A step of GauGAN's two networks: phases, losses, and a batch in parts."""

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor
from torch.optim import SGD

from facemill.config.fields import TrainingConfig
from facemill.config.synthesize import GauganConfig
from facemill.networks.patch_discriminator import Discriminator
from facemill.networks.spade import Generator, SpectralNorm
from facemill.synthesize.gan import Gan, build_gan, generator_kwargs
from facemill.training.learner import EmaLearner, Learner

SETTINGS = GauganConfig(
    z="encoder",
    preset="tiny",
    feature_matching_weight=10,
    perceptual_weight=10,
    training=TrainingConfig(images=16, batch=4, learning_rate=1e-3),
)


def make_gan(accelerator: Accelerator, parts: int) -> Gan:
    """Networks in evaluation mode, in which batch norm does not depend on the part of a batch; plain SGD."""
    torch.manual_seed(0)
    generator = Generator(size=64, z_dim=6, ngf=4, nhidden=8, classes=5).eval()
    discriminator = Discriminator(ndf=8, classes=5).eval()
    return Gan(
        accelerator,
        EmaLearner(accelerator, generator, SGD(generator.parameters(), 0.1), lambda step: 0.1),
        Learner(accelerator, discriminator, SGD(discriminator.parameters(), 0.1), lambda step: 0.1),
        None,
        SETTINGS.model_copy(update={"grad_accumulation": parts}),
    )


@pytest.fixture
def batch() -> tuple[Tensor, Tensor, Tensor]:
    return torch.rand(4, 3, 64, 64) * 2 - 1, torch.randint(0, 5, (4, 64, 64)), torch.randn(4, 6)


def test_a_batch_in_parts_gives_the_gradients_of_the_whole_batch(accelerator, batch):
    weights = []
    for parts in (1, 2):
        gan = make_gan(accelerator, parts)
        losses = gan.step(*batch, step=0)
        networks = (gan.generator.raw, gan.discriminator.raw)
        weights.append([weight.detach().clone() for network in networks for weight in network.parameters()])
    assert losses.keys() == {"hinge_g", "feature_matching", "hinge_d"}
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*weights, strict=True))


@pytest.mark.parametrize(("phase", "other"), [("generator", "discriminator"), ("discriminator", "generator")])
def test_a_phase_accumulates_the_gradients_of_one_network_alone(accelerator, batch, phase, other):
    gan = make_gan(accelerator, 1)
    gan.accumulate_gradients(phase, gan.forward(*batch), share=1)
    assert all(weight.grad is not None for weight in gan.learners[phase].raw.parameters())
    assert all(weight.grad is None for weight in gan.learners[other].raw.parameters())


def test_discriminators_are_called_once_on_real_and_once_on_generated_images(accelerator, batch):
    """Both phases use the same features, and the spectral norm of both calls is one."""
    gan = build_gan(accelerator, SETTINGS, generator_kwargs(SETTINGS, classes=5, size=64, ratio=1, z_dim=6))
    calls, weights = [], []
    gan.discriminator.raw.register_forward_hook(lambda *call: calls.append(call))
    normed = next(m for m in gan.discriminator.raw.modules() if isinstance(m, SpectralNorm))
    normed.register_forward_hook(lambda _, inputs, output: weights.append(output))
    gan.step(*batch, step=0)
    assert len(calls) == 2 and len(weights) == 1


def test_learning_rates_follow_the_two_time_scale_rule_and_decay(accelerator):
    gan = build_gan(accelerator, SETTINGS, generator_kwargs(SETTINGS, classes=5, size=64, ratio=1, z_dim=6))
    assert [gan.generator.schedule(step) for step in (0, 3)] == pytest.approx([5e-4, 2.5e-4])
    assert [gan.discriminator.schedule(step) for step in (0, 3)] == pytest.approx([2e-3, 1e-3])
