"""Schedules and the EMA, against their definitions."""

import pytest
import torch
from torch import nn

from facemill.training.optimization import (
    cosine_with_warmup,
    ema_decay,
    linear_decay,
    make_ema,
    set_lr,
    update_ema,
)


def test_cosine_with_warmup_rises_then_falls_to_zero():
    factors = [cosine_with_warmup(step, 100) for step in range(101)]
    assert factors[0] == pytest.approx(0.2) and factors[4] == factors[5] == 1 and factors[100] == pytest.approx(0)
    assert factors[5:] == sorted(factors[5:], reverse=True)


def test_linear_decay_starts_in_the_middle():
    assert [linear_decay(step, 10) for step in (0, 5, 6, 8, 10)] == pytest.approx([1, 1, 0.8, 0.4, 0])


def test_the_decay_of_the_ema_rises_to_its_limit():
    decays = [ema_decay(step, 0.998) for step in (0, 10, 10_000)]
    assert decays == [pytest.approx(0.1), pytest.approx(0.55), 0.998]


def test_ema_is_the_weighted_mean_of_weights_and_statistics_and_other_buffers_are_copied():
    network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    ema = make_ema(network)
    nn.init.zeros_(ema[0].weight)
    nn.init.ones_(network[0].weight)
    network[1].running_mean.fill_(3)
    network[1].running_var.fill_(2)
    network[1].num_batches_tracked.fill_(7)
    update_ema(ema, network, decay=0.9)
    assert ema[0].weight.item() == pytest.approx(0.1) and ema[1].num_batches_tracked == 7
    assert ema[1].running_mean.item() == pytest.approx(0.3) and ema[1].running_var.item() == pytest.approx(1.1)
    assert not ema.training and not ema[0].weight.requires_grad


def test_vectors_of_spectral_norm_are_copied_not_averaged():
    network = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4))
    ema = make_ema(network)
    for _ in range(5):
        network(torch.rand(1, 4))
    update_ema(ema, network, decay=0.9)
    vectors = dict(network.named_buffers())
    assert all(torch.equal(vectors[name], value) for name, value in ema.named_buffers()) and len(vectors) == 2


def test_statistics_of_the_ema_are_nearer_those_of_its_own_activations():
    """Than the last ones of the network, which are means over few batches."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(8, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 8))
    optimizer, ema = torch.optim.AdamW(network.parameters()), make_ema(network)
    for step in range(1500):
        x = torch.randn(8, 8)
        (network(x) - x.flip(1)).square().mean().backward()
        set_lr(optimizer, 5e-3 * cosine_with_warmup(step, 1500))
        optimizer.step()
        optimizer.zero_grad()
        update_ema(ema, network, ema_decay(step, 0.998))
    activations = ema[0](torch.randn(10_000, 8))

    def error(norm: nn.BatchNorm1d) -> float:
        means = (norm.running_mean - activations.mean(0)).abs() / activations.std(0)
        return float(means.mean() + (norm.running_var / activations.var(0) - 1).abs().mean())

    assert error(ema[1]) < error(network[1]) / 2
