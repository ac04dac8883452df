"""A step of CUT: its losses, what each network learns from, parts."""

import pytest
import torch
from helpers.translate import changed
from torch import Tensor

from facemill.networks.patch_nce import drawn_places, encoded, patch_nce
from facemill.networks.resnet_generator import ResnetGenerator
from facemill.translate.cut import Cut, build_cut

PLAIN = changed(method="cut", diff_augment=False, grad_accumulation=1)


def images(seed: int, count: int = 4) -> Tensor:
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def built(accelerator, settings=PLAIN) -> Cut:
    torch.manual_seed(0)
    return build_cut(accelerator, settings, 32, 32)


def gradients(network) -> Tensor:
    return torch.cat([weight.grad.flatten() for weight in network.parameters()])


def plain_losses(cut: Cut, generator: ResnetGenerator, a: Tensor, b: Tensor) -> dict[str, Tensor]:
    """By sections 3.1 and 3.2 of the paper, each with calls of its own; places are drawn after torch's seed 5."""
    torch.manual_seed(5)
    places, project = drawn_places(encoded(generator, a)), cut.projections.raw
    losses = {"gan_a2b": ((cut.discriminators["a2b"].raw(generator(a))[-1] - 1) ** 2).mean()}
    for name, of in (("nce", a), ("identity", b)):
        queries, keys = (project(encoded(generator, x), places) for x in (generator(of), of))
        losses[f"{name}_a2b"] = patch_nce(queries, keys).mean()
    return losses


def test_losses_and_gradients_are_those_of_the_paper(accelerator):
    cut, a, b = built(accelerator), images(1), images(2)
    generator = cut.generators["a2b"].raw
    torch.manual_seed(5)
    fakes, losses = cut.accumulate_generators({"a2b": a, "b2a": b}, {}, 1)
    assert all(weight.grad is None for weight in cut.discriminators["a2b"].raw.parameters())
    assert torch.allclose(fakes["a2b"], generator(a), atol=1e-5) and not fakes["a2b"].requires_grad
    networks = (generator, cut.projections.raw)
    ours = [gradients(network) for network in networks]
    for network in networks:
        network.zero_grad()
    expected = plain_losses(cut, generator, a, b)
    assert {name: loss.item() for name, loss in losses.items()} == pytest.approx(
        {name: loss.item() for name, loss in expected.items()}, rel=1e-4
    )
    sum(expected.values()).backward()
    for before, network in zip(ours, networks, strict=True):
        assert (before - gradients(network)).norm() < 1e-3 * before.norm()


def test_the_discriminator_learns_from_new_translations_alone(accelerator):
    cut, a, b = built(accelerator), images(1), images(2)
    fakes, _ = cut.accumulate_generators({"a2b": a, "b2a": b}, {}, 1)
    before = gradients(cut.generators["a2b"].raw)
    losses = cut.accumulate_discriminators({"a2b": a, "b2a": b}, fakes, torch.Generator(), 1)
    network = cut.discriminators["a2b"].raw
    expected = (((network(b)[-1] - 1) ** 2).mean() + (network(fakes["a2b"])[-1] ** 2).mean()) / 2
    assert {name: loss.item() for name, loss in losses.items()} == pytest.approx({"d_a2b": expected.item()}, rel=1e-4)
    assert torch.equal(before, gradients(cut.generators["a2b"].raw)) and gradients(network).abs().max() > 0


def test_a_step_moves_all_three_networks(accelerator):
    cut, roles = built(accelerator), torch.full((4, 1, 1), 255, dtype=torch.uint8)
    before = {name: [p.clone() for p in learner.raw.parameters()] for name, learner in cut.learners.items()}
    assert before.keys() == {"generator_a2b", "discriminator_a2b", "projections"}
    losses = cut.step((images(1), images(2)), (roles, roles), 0, torch.Generator())
    assert losses.keys() == {"gan_a2b", "nce_a2b", "identity_a2b", "d_a2b"}
    for name, learner in cut.learners.items():
        assert any(not torch.equal(x, y) for x, y in zip(before[name], learner.raw.parameters(), strict=True))
