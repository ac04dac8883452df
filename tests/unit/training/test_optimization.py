"""Schedules and the EMA, against their definitions."""

import pytest
from torch import nn

from facemill.training.optimization import cosine_with_warmup, ema_decay, linear_decay, make_ema, update_ema


def test_cosine_with_warmup_rises_then_falls_to_zero():
    factors = [cosine_with_warmup(step, 100) for step in range(101)]
    assert factors[0] == pytest.approx(0.2) and factors[4] == factors[5] == 1 and factors[100] == pytest.approx(0)
    assert factors[5:] == sorted(factors[5:], reverse=True)


def test_linear_decay_starts_in_the_middle():
    assert [linear_decay(step, 10) for step in (0, 5, 6, 8, 10)] == pytest.approx([1, 1, 0.8, 0.4, 0])


def test_the_decay_of_the_ema_rises_to_its_limit():
    assert ema_decay(0) == pytest.approx(0.1) and ema_decay(10) == pytest.approx(0.55) and ema_decay(10_000) == 0.998


def test_ema_is_the_weighted_mean_and_buffers_are_copied():
    network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    ema = make_ema(network)
    nn.init.zeros_(ema[0].weight)
    nn.init.ones_(network[0].weight)
    network[1].running_mean.fill_(3)
    update_ema(ema, network, decay=0.9)
    assert ema[0].weight.item() == pytest.approx(0.1) and ema[1].running_mean.item() == 3
    assert not ema.training and not ema[0].weight.requires_grad
