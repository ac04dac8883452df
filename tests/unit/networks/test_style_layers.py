"""Layers that a style modulates, against their definition in the papers; equalized learning rates."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from facemill.networks.style_layers import GAIN, MAPPING_RATE, EqualLinear, MappingNetwork, ModulatedConv, ToRgb


def weights_of_each_image(weight: Tensor, style: Tensor, demodulates: bool) -> Tensor:
    """Equations 1 to 3 of Karras et al. 2020: (B, O, I, k, k)."""
    modulated = weight * style[:, None, :, None, None]
    lengths = (modulated.square().sum((2, 3, 4), keepdim=True) + 1e-8).sqrt()
    return modulated / lengths if demodulates else modulated


@pytest.mark.parametrize("noisy", [False, True])
def test_a_modulated_convolution_is_one_with_weights_of_each_image(noisy):
    torch.manual_seed(0)
    conv = ModulatedConv(6, 5, 4, noise=True)
    with torch.no_grad():
        conv.bias.normal_()
        conv.noise_strength.fill_(0.5)
    x, w, noise = torch.randn(3, 6, 8, 4), torch.randn(3, 4), torch.randn(3, 1, 8, 4)
    weights = weights_of_each_image(conv.weight, conv.style(w), demodulates=True)
    expected = torch.cat([F.conv2d(x[i : i + 1], weights[i], padding=1) for i in range(3)]) + conv.bias
    if noisy:
        expected = expected + 0.5 * noise
    expected = math.sqrt(2) * F.leaky_relu(expected, 0.2)
    torch.testing.assert_close(conv(x, w, noise if noisy else None), expected, atol=1e-5, rtol=0)


def test_to_rgb_is_modulated_but_not_demodulated():
    torch.manual_seed(0)
    to_rgb = ToRgb(6, 4)
    with torch.no_grad():
        to_rgb.bias.normal_()
    x, w = torch.randn(3, 6, 8, 4), torch.randn(3, 4)
    weights = weights_of_each_image(to_rgb.weight, to_rgb.style(w), demodulates=False)
    expected = torch.cat([F.conv2d(x[i : i + 1], weights[i], to_rgb.bias) for i in range(3)])
    torch.testing.assert_close(to_rgb(x, w), expected, atol=1e-5, rtol=0)


def test_layers_keep_a_deviation_of_one():
    torch.manual_seed(0)
    x, w = torch.randn(64, 64, 16, 16), torch.randn(64, 32)
    inner = ModulatedConv(64, 64, 32, noise=False)(x, w)[:, :, 1:-1, 1:-1]
    assert inner.square().mean().item() == pytest.approx(2 * (1 + 0.2**2) / 2, abs=0.02)
    assert ToRgb(64, 32)(x, w * 0).std().item() == pytest.approx(1, abs=0.05)
    assert EqualLinear(256, 64)(torch.randn(512, 256)).std().item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("rate", [1, 0.01])
def test_a_learning_rate_is_equalized(rate):
    """A change of the stored weights moves the output by the layer's constant, and the smaller rate moves it less."""
    torch.manual_seed(0)
    layer, x = EqualLinear(16, 8, bias=0.5, gain=3, rate=rate), torch.ones(1, 16)
    assert layer(torch.zeros(1, 16))[0].tolist() == pytest.approx([1.5] * 8, rel=1e-5)  # whatever the rate
    before = layer(x)
    with torch.no_grad():
        layer.weight += 1
    torch.testing.assert_close(layer(x) - before, torch.full((1, 8), 3 * rate * 16 / math.sqrt(16)), rtol=1e-3, atol=0)


def test_the_mapping_network_learns_at_a_hundredth_of_the_rate():
    torch.manual_seed(0)
    network = MappingNetwork(4, 6, 2, 0)
    assert [layer.weight.shape for layer in network.layers] == [(6, 4), (6, 6)]
    for layer in network.layers:
        assert layer.weight.std().item() == pytest.approx(1 / MAPPING_RATE, rel=0.5)
        assert layer.weight_gain == pytest.approx(GAIN * MAPPING_RATE / math.sqrt(layer.weight.shape[1]))


def test_styles_depend_on_the_direction_of_a_code_alone():
    torch.manual_seed(0)
    network, z = MappingNetwork(4, 6, 2, 0), torch.randn(5, 4)
    torch.testing.assert_close(network(z), network(7 * z))
    assert not torch.allclose(network(z), network(-z))


def test_conditions_come_in_with_the_ramp():
    """At 0 they are without effect; at 1 their embedding is as long as the code."""
    torch.manual_seed(0)
    network, z = MappingNetwork(4, 6, 1, 3), torch.randn(2, 4)
    first, second = torch.eye(3)[[0, 0]], torch.eye(3)[[1, 2]]
    assert torch.equal(network(z, first, 0), network(z, second, 0))
    effects = [(network(z, first, ramp) - network(z, second, ramp)).norm() for ramp in (0.25, 0.5, 1)]
    assert effects == sorted(effects) and effects[0] > 0
    inputs = []
    network.layers[0].register_forward_pre_hook(lambda layer, arguments: inputs.append(arguments[0]))
    network(z, first, 1)
    assert inputs[0].unflatten(1, (2, 4)).norm(dim=2).flatten().tolist() == pytest.approx([2] * 4, rel=1e-5)
    with pytest.raises(ValueError, match="a generator with conditions needs them"):
        network(z)
