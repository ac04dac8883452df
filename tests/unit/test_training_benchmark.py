"""The plain side of `benchmarks/training.py`: it trains the same networks by the same losses."""

import sys
from pathlib import Path

import pytest
import torch

from facemill.config.fields import TrainingConfig
from facemill.config.synthesize import GauganConfig, VaeConfig
from facemill.data.classes import IGNORE, SEVEN
from facemill.networks.segmentation_losses import cross_entropy_dice
from facemill.networks.unet import Unet
from facemill.networks.vae import Vae
from facemill.synthesize.gan import build_gan, generator_kwargs
from facemill.synthesize.train_vae import vae_losses

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
from plain_training import PlainGanTraining, PlainUnetTraining, PlainVaeTraining

TRAINING = TrainingConfig(images=16, batch=2, learning_rate=1e-3)


@pytest.fixture
def shard(pairs) -> Path:
    return pairs("pairs", range(4), SEVEN)


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels and masks of two portraits of 64 px, some pixels of the latter ignored."""
    torch.manual_seed(0)
    masks = torch.zeros(2, 64, 64, dtype=torch.uint8)
    masks[0, 10:30, 5:45], masks[1, 20:, 30:] = 5, 3
    return torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8), masks


def test_of_unets(shard, batch):
    pixels, masks = batch
    masks[:, :4] = IGNORE
    unet = Unet(classes=7, size=64, decoder="upsample", decoder_channels=(16, 16, 8, 8, 8))
    plain = PlainUnetTraining(unet, shard, 2).loss(pixels / 255, masks.long())
    assert torch.isclose(cross_entropy_dice(unet(pixels / 255), masks.long(), IGNORE), plain, rtol=1e-4)


def test_of_vaes(shard, batch, monkeypatch):
    pixels, masks = batch
    monkeypatch.setattr(torch, "rand", lambda *shape: torch.ones(*shape))  # not mirrored
    vae = Vae(size=32, z_dim=6, width=4)
    training = PlainVaeTraining(vae, shard, 2, SEVEN, 0.1)
    torch.manual_seed(1)
    plain = training.losses(pixels / 255, masks.long())
    torch.manual_seed(1)
    settings = VaeConfig(size=32, z_dim=6, width=4, kl_weight=0.1, training=TRAINING)
    assert torch.allclose(torch.stack([*vae_losses(vae, settings, SEVEN, pixels, masks).values()]), torch.stack(plain))


def test_of_gaugan(shard, batch, accelerator):
    pixels, masks = batch
    settings = GauganConfig(
        preset="small", z="encoder", feature_matching_weight=10, perceptual_weight=10, training=TRAINING
    )
    gan = build_gan(accelerator, settings, generator_kwargs(settings, 7, 64, 1, 6))
    for learner in gan.learners.values():
        learner.raw.eval()  # spectral norm goes on in each call of a training
    encoder = Vae(size=32, z_dim=6, width=4)
    training = PlainGanTraining(gan.generator.raw, gan.discriminator.raw, encoder, shard, 2)
    real, z = pixels / 127.5 - 1, torch.randn(2, 6)
    mask = torch.nn.functional.one_hot(masks.long(), 7).permute(0, 3, 1, 2).float()
    forward_pass = gan.forward(real, masks, z)
    fake = training.network(masks, z)
    assert torch.allclose(forward_pass.fake, fake, atol=1e-4)
    losses = gan.generator_losses(forward_pass)
    ours = losses["adversarial_g"] + 10 * losses["feature_matching"]
    assert torch.isclose(ours, training.generator_loss(fake, real, mask), rtol=1e-3)
    ours = forward_pass.output.discriminator_losses()["adversarial_d"]
    assert torch.isclose(ours, training.discriminator_loss(fake, real, mask), rtol=1e-3)
