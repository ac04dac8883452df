"""Enlargement and convolution in one: as the two steps, in networks too."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from facemill.networks import enlarged_conv
from facemill.networks.unet import Unet
from facemill.networks.vae import Vae


def test_it_is_nearest_enlargement_and_convolution_with_the_same_gradients():
    torch.manual_seed(0)
    x, weight = (torch.randn(*shape).requires_grad_() for shape in ((2, 5, 8, 10), (7, 5, 3, 3)))
    incoming = torch.randn(2, 7, 16, 20)
    steps = F.conv2d(F.interpolate(x, scale_factor=2, mode="nearest"), weight, padding=1)
    joint = enlarged_conv.enlarged_conv(x, weight)
    assert torch.allclose(steps, joint, atol=1e-5)
    gradients = [torch.autograd.grad(y, (x, weight), incoming) for y in (steps, joint)]
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(*gradients, strict=True))


@pytest.mark.parametrize("enlarging", ["unet", "vae"])
def test_networks_compute_the_same_with_it(monkeypatch, enlarging):
    torch.manual_seed(0)
    network: nn.Module = Vae(size=64, z_dim=6, width=4)
    images = torch.rand(2, 3, 64, 64)
    if enlarging == "unet":
        network = Unet(classes=5, size=64, decoder="upsample", decoder_channels=(16, 16, 8, 8, 8))
    calls = []
    monkeypatch.setattr(
        f"facemill.networks.{enlarging}.enlarged_conv",
        lambda x, weight: calls.append(x.shape) or enlarged_conv.enlarged_conv(x, weight),
    )

    def output() -> torch.Tensor:
        torch.manual_seed(1)
        found = network(images)
        return found if enlarging == "unet" else found[0]

    joint = output()
    assert len(calls) == 3
    monkeypatch.setattr(f"facemill.networks.{enlarging}.pays", lambda x, training: False)
    assert torch.allclose(joint, output(), atol=1e-4) and len(calls) == 3


def test_it_does_not_pay_without_training_or_for_small_maps():
    assert enlarged_conv.pays(torch.zeros(1, 2, 8, 8), True)
    assert not enlarged_conv.pays(torch.zeros(1, 2, 8, 8), False)
    assert not enlarged_conv.pays(torch.zeros(1, 2, 4, 4), True)
