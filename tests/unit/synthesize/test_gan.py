"""A step of GauGAN's two networks: phases, losses, and a batch in parts."""

import pytest
import torch
from accelerate import Accelerator
from helpers.scenes import save_unet
from torch import Tensor
from torch.optim import SGD

from facemill.config.fields import TrainingConfig
from facemill.config.synthesize import GauganConfig
from facemill.data.classes import IGNORE
from facemill.errors import UserError
from facemill.networks.patch_discriminator import Discriminator
from facemill.networks.segmentation_discriminator import SegmentationDiscriminator
from facemill.networks.spade import Generator, SpectralNorm
from facemill.synthesize import adversarial
from facemill.synthesize.gan import Gan, build_gan, generator_kwargs
from facemill.training.learner import EmaLearner, Learner

SETTINGS = GauganConfig(
    z="encoder",
    preset="tiny",
    feature_matching_weight=10,
    perceptual_weight=10,
    training=TrainingConfig(images=16, batch=4, learning_rate=1e-3),
)


def make_gan(accelerator: Accelerator, kind: str, parts: int = 1) -> Gan:
    """Networks in evaluation mode, in which batch norm does not depend on the part of a batch; plain SGD."""
    torch.manual_seed(0)
    generator = Generator(size=64, z_dim=6, ngf=4, nhidden=8, classes=5).eval()
    networks = {"patch": Discriminator(ndf=8, classes=5), "segmentation": SegmentationDiscriminator(ndf=4, classes=5)}
    discriminator = networks[kind].eval()
    return Gan(
        accelerator,
        EmaLearner(accelerator, generator, SGD(generator.parameters(), 0.1), lambda step: 0.1),
        Learner(accelerator, discriminator, SGD(discriminator.parameters(), 0.1), lambda step: 0.1),
        None,
        SETTINGS.model_copy(update={"discriminator": kind, "grad_accumulation": parts}),
    )


@pytest.fixture
def batch() -> tuple[Tensor, Tensor, Tensor]:
    masks = torch.randint(0, 5, (4, 64, 64))
    masks[0, :20] = 1  # the halves have other classes
    masks[1, 30:50] = IGNORE
    return torch.rand(4, 3, 64, 64) * 2 - 1, masks, torch.randn(4, 6)


LOSSES = {
    "patch": {"adversarial_g", "adversarial_d", "feature_matching"},
    "segmentation": {"adversarial_g", "adversarial_d", "feature_matching", "label_mix"},
}


@pytest.mark.parametrize("kind", LOSSES)
def test_a_batch_in_parts_gives_the_gradients_of_the_whole_batch(accelerator, batch, kind, monkeypatch):
    monkeypatch.setattr(adversarial, "random_mix", lambda mask: mask[:, ::2].sum(1, keepdim=True))  # without coins
    weights = []
    for parts in (1, 2):
        gan = make_gan(accelerator, kind, parts)
        losses = gan.step(*batch, step=0)
        networks = (gan.generator.raw, gan.discriminator.raw)
        weights.append([weight.detach().clone() for network in networks for weight in network.parameters()])
    assert losses.keys() == LOSSES[kind]
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*weights, strict=True))


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize(("phase", "other"), [("generator", "discriminator"), ("discriminator", "generator")])
def test_a_phase_accumulates_the_gradients_of_one_network_alone(accelerator, batch, kind, phase, other):
    gan = make_gan(accelerator, kind)
    weights = gan.class_weights(batch[1]) if kind == "segmentation" else None
    gan.accumulate_gradients(phase, gan.forward(*batch, weights), share=1)
    assert all(weight.grad is not None for weight in gan.learners[phase].raw.parameters())
    assert all(weight.grad is None for weight in gan.learners[other].raw.parameters())


@pytest.mark.parametrize(("kind", "images"), [("patch", 2), ("segmentation", 3)])
def test_discriminators_are_called_once_on_real_generated_and_mixed_images(accelerator, batch, kind, images):
    """Both phases use the same output, and the spectral norm of all calls is one."""
    settings = SETTINGS.model_copy(update={"discriminator": kind})
    gan = build_gan(accelerator, settings, generator_kwargs(SETTINGS, classes=5, size=64, ratio=1, z_dim=6))
    calls, weights = [], []
    gan.discriminator.raw.register_forward_hook(lambda *call: calls.append(call))
    normed = next(m for m in gan.discriminator.raw.modules() if isinstance(m, SpectralNorm))
    normed.register_forward_hook(lambda _, inputs, output: weights.append(output))
    gan.step(*batch, step=0)
    assert len(calls) == images and len(weights) == 1


def test_learning_rates_follow_the_two_time_scale_rule_and_decay(accelerator):
    gan = build_gan(accelerator, SETTINGS, generator_kwargs(SETTINGS, classes=5, size=64, ratio=1, z_dim=6))
    assert [gan.generator.schedule(step) for step in (0, 3)] == pytest.approx([5e-4, 2.5e-4])
    assert [gan.discriminator.schedule(step) for step in (0, 3)] == pytest.approx([2e-3, 1e-3])


def test_unlabelled_pixels_have_no_loss(accelerator, batch):
    """Neither of images nor of their mixture: the gradient of their logits is 0."""
    real, masks, z = batch
    gan = make_gan(accelerator, "segmentation")
    output = gan.forward(real, masks, z, gan.class_weights(masks)).output
    for logits in (output.real[-1], output.fake[-1], output.mixed):
        logits.retain_grad()
    total = torch.stack([*output.generator_losses().values(), *output.discriminator_losses().values()]).sum()
    total.backward()
    labelled = masks != IGNORE
    for logits in (output.real[-1], output.fake[-1], output.mixed):
        assert torch.equal(logits.grad.ne(0).any(1), labelled)


def test_class_weights_balance_the_batch(accelerator):
    gan = make_gan(accelerator, "segmentation")
    masks = torch.zeros(2, 64, 64, dtype=torch.long)
    masks[0, :, :32], masks[1] = 3, IGNORE
    assert gan.class_weights(masks).tolist() == [2, 0, 0, 2, 0]


def test_a_perceptual_loss_in_a_unets_features_needs_the_unet(accelerator):
    settings = SETTINGS.model_copy(update={"perceptual": "unet"})
    with pytest.raises(UserError, match="gaugan.perceptual: found unet, but no --perceptual-unet; accepted: "):
        build_gan(accelerator, settings, generator_kwargs(settings, classes=5, size=64, ratio=1, z_dim=6))


def test_a_perceptual_loss_is_the_generators(accelerator, batch, tmp_path):
    settings = SETTINGS.model_copy(update={"perceptual": "unet"})
    init_kwargs = generator_kwargs(settings, classes=5, size=64, ratio=1, z_dim=6)
    gan = build_gan(accelerator, settings, init_kwargs, save_unet(tmp_path / "unet.safetensors"))
    before = [weight.clone() for weight in gan.perceptual.state_dict().values()]
    losses = gan.step(*batch, step=0)
    assert losses.keys() == LOSSES["patch"] | {"perceptual"} and losses["perceptual"] > 0
    assert all(torch.equal(a, b) for a, b in zip(before, gan.perceptual.state_dict().values(), strict=True))
