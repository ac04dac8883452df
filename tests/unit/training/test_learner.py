"""A learner's step is that of its optimizer at the schedule's rate; accumulated gradients add up."""

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from facemill.training.learner import EmaLearner, Learner


def linear() -> nn.Linear:
    network = nn.Linear(1, 1, bias=False)
    nn.init.ones_(network.weight)
    return network


def learn(kind: type[Learner], accelerator: Accelerator) -> Learner:
    network = linear()
    return kind(accelerator, network, torch.optim.SGD(network.parameters(), 1.0), lambda step: 0.1 * (step + 1))


def test_a_step_moves_weights_by_the_schedule_then_the_ema(accelerator):
    learner = learn(EmaLearner, accelerator)
    for step in range(2):
        learner.step(learner.net(torch.full((1, 1), 2.0)).sum(), step)
    assert learner.raw.weight.item() == pytest.approx(1 - 0.1 * 2 - 0.2 * 2)
    assert learner.raw.weight.grad is None
    first = 0.1 * 1 + 0.9 * 0.8  # decays 1/10 and 2/11
    assert learner.ema.weight.item() == pytest.approx(2 / 11 * first + 9 / 11 * 0.4)


def test_accumulated_gradients_add_up(accelerator):
    learner = learn(Learner, accelerator)
    for x in (1.0, 2.0):
        accelerator.backward(learner.net(torch.full((1, 1), x)).sum())
    learner.update(0)
    assert learner.raw.weight.item() == pytest.approx(1 - 0.1 * 3)
    assert learner.modules == {"raw": learner.raw}
