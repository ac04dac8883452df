"""The VAE's shapes, its KL divergence against torch's, pixels to [-1, 1] and back."""

import torch
from torch.distributions import Normal
from torch.distributions import kl_divergence as torch_kl

from facemill.networks.vae import Vae, kl_divergence, reparameterize, to_pixels, to_signed_range


def test_shapes():
    vae = Vae(size=64, z_dim=5, width=4)
    image, mean, log_variance = vae(torch.rand(3, 3, 64, 64) * 2 - 1)
    assert image.shape == (3, 3, 64, 64)
    assert mean.shape == log_variance.shape == (3, 5)


def test_kl_is_torchs():
    mean, log_variance = torch.randn(4, 5), torch.randn(4, 5)
    expected = torch_kl(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum(1).mean()
    assert torch.allclose(kl_divergence(mean, log_variance), expected)


def test_reparameterize_draws_from_the_posterior():
    torch.manual_seed(0)
    z = reparameterize(torch.full((100_000,), 2.0), torch.full((100_000,), -1.0))
    assert abs(z.mean() - 2) < 0.01 and abs(z.var() - torch.tensor(-1.0).exp()) < 0.01


def test_pixels_round_trip():
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    assert (to_pixels(to_signed_range(pixels)) == pixels.permute(0, 2, 3, 1).numpy()).all()
