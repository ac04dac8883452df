"""The VAE's shapes, its KL divergence against torch's, pixels to [-1, 1] and back, and how much each pixel counts."""

import torch
from torch.distributions import Normal
from torch.distributions import kl_divergence as torch_kl

from facemill.data.classes import BACKGROUND, CLOTHES, HAIR, IGNORE
from facemill.networks.vae import Vae, kl_divergence, reparameterize, to_pixels, to_signed_range
from facemill.synthesize.train_vae import BALANCE, region_weights


def test_shapes():
    vae = Vae(size=64, z_dim=5, width=4)
    image, mean, log_variance = vae(torch.rand(3, 3, 64, 64) * 2 - 1)
    assert image.shape == (3, 3, 64, 64)
    assert mean.shape == log_variance.shape == (3, 5)


def test_kl_is_torchs():
    mean, log_variance = torch.randn(4, 5), torch.randn(4, 5)
    wanted = torch_kl(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum(1).mean()
    assert torch.allclose(kl_divergence(mean, log_variance), wanted)


def test_reparameterize_draws_from_the_posterior():
    torch.manual_seed(0)
    z = reparameterize(torch.full((100_000,), 2.0), torch.full((100_000,), -1.0))
    assert abs(z.mean() - 2) < 0.01 and abs(z.var() - torch.tensor(-1.0).exp()) < 0.01


def test_pixels_round_trip():
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    assert (to_pixels(to_signed_range(pixels)) == pixels.permute(0, 2, 3, 1).numpy()).all()


def test_half_of_the_weight_is_shared_alike_by_the_regions():
    masks = torch.full((2, 64, 64), BACKGROUND, dtype=torch.uint8)
    masks[0, :32] = HAIR
    masks[0, -4:] = CLOTHES
    weights = region_weights(masks, 32)
    assert weights.shape == (2, 1, 32, 32)
    assert torch.allclose(weights.mean((1, 2, 3)), torch.ones(2))
    share = 2 / 32  # of the image that is clothes
    assert torch.isclose(weights[0, 0, -2:].sum() / 32**2, torch.tensor(BALANCE / 3 + (1 - BALANCE) * share))
    assert torch.allclose(weights[1], torch.ones(1, 32, 32))  # one region alone: all pixels count alike


def test_a_portrait_without_any_region_still_counts():
    weights = region_weights(torch.full((1, 64, 64), IGNORE, dtype=torch.uint8), 32)
    assert torch.allclose(weights, torch.full((1, 1, 32, 32), 1 - BALANCE))
