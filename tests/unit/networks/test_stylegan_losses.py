"""Losses of StyleGAN on numbers that paper and pencil give."""

import math

import pytest
import torch

from facemill.networks.stylegan_losses import class_loss, discriminator_loss, generator_loss, gradient_penalty


def softplus(x: float) -> float:
    return math.log(1 + math.exp(x))


def test_the_logistic_loss_does_not_saturate():
    fake, real = torch.tensor([1.0, -2.0]), torch.tensor([3.0, 0.0])
    expected = (softplus(1) + softplus(-2)) / 2 + (softplus(-3) + softplus(0)) / 2
    assert discriminator_loss("logistic", fake, real).item() == pytest.approx(expected)
    assert generator_loss("logistic", fake, real).item() == pytest.approx((softplus(-1) + softplus(2)) / 2)


def test_the_relativistic_loss_compares_each_pair():
    fake, real = torch.tensor([1.0, -2.0]), torch.tensor([3.0, 0.0])
    expected = (softplus(-2) + softplus(-2)) / 2
    assert discriminator_loss("relativistic", fake, real).item() == pytest.approx(expected)
    assert generator_loss("relativistic", fake, real).item() == pytest.approx((softplus(2) + softplus(2)) / 2)
    shifted = discriminator_loss("relativistic", fake + 5, real + 5)
    assert shifted.item() == pytest.approx(expected)  # only differences count


def test_the_penalty_of_a_quadratic_discriminator_has_a_closed_form():
    """D(x) = a |x|^2 / 2 has the gradient a x, so the penalty is a^2 |x|^2 / 2, whose derivative by a is a |x|^2."""
    torch.manual_seed(0)
    a, x = torch.tensor(1.5, requires_grad=True), torch.randn(4, 3, 5, 2, requires_grad=True)
    penalty = gradient_penalty(a * x.square().sum((1, 2, 3)) / 2, x)
    squares = x.detach().square().sum((1, 2, 3)).mean().item()
    assert penalty.item() == pytest.approx(1.5**2 * squares / 2, rel=1e-5)
    penalty.backward()
    assert a.grad.item() == pytest.approx(1.5 * squares, rel=1e-5)


def test_the_classifiers_loss_is_a_mean_over_conditions():
    sure, even = torch.tensor([[10.0, -10.0]]), torch.zeros(1, 4)
    expected = (softplus(-20) + math.log(4)) / 2
    assert class_loss([sure, even], torch.tensor([[0, 3]])).item() == pytest.approx(expected, abs=1e-6)
    assert class_loss([sure, even], torch.tensor([[1, 3]])).item() == pytest.approx((20 + math.log(4)) / 2, rel=1e-5)
