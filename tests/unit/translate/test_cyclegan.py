"""A step of CycleGAN: four calls that are six, losses, parts, and what each network learns from."""

import pytest
import torch
from helpers.translate import changed
from torch.nn import functional as F

from facemill.translate.cyclegan import BETAS, DIRECTIONS, build_cyclegan

PLAIN = changed(diff_augment=False, grad_accumulation=1, pool=0)


def images(seed: int, count: int = 4) -> torch.Tensor:
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def roles(count: int = 4) -> torch.Tensor:
    return torch.full((count, 1, 1), 255, dtype=torch.uint8)


def built(accelerator, settings):
    torch.manual_seed(0)
    return build_cyclegan(accelerator, settings, 32, 32)


def gradients(network) -> torch.Tensor:
    return torch.cat([weight.grad.flatten() for weight in network.parameters()])


def test_translations_and_identities_of_one_call_have_the_losses_and_gradients_of_six(accelerator):
    """By equations 2 and 3 of the paper, with its identity loss, term by term."""
    gan = built(accelerator, PLAIN)
    a, b = images(1), images(2)
    _, losses = gan.accumulate_generators({"a2b": a, "b2a": b}, {}, 1)
    ours = {way: gradients(gan.generators[way].raw) for way in DIRECTIONS}
    (f, g), (d_b, d_a) = (
        [learners[way].raw for way in DIRECTIONS] for learners in (gan.generators, gan.discriminators)
    )
    f.zero_grad(), g.zero_grad()
    expected = {
        "gan_a2b": ((d_b(f(a))[-1] - 1) ** 2).mean(),
        "gan_b2a": ((d_a(g(b))[-1] - 1) ** 2).mean(),
        "cycle_a2b": F.l1_loss(g(f(a)), a),
        "cycle_b2a": F.l1_loss(f(g(b)), b),
        "identity_a2b": F.l1_loss(f(b), b),
        "identity_b2a": F.l1_loss(g(a), a),
    }
    assert {name: loss.item() for name, loss in losses.items()} == pytest.approx(
        {name: loss.item() for name, loss in expected.items()}, rel=1e-4
    )
    weights = {"gan": 1, "cycle": 10, "identity": 5}
    sum(weights[name.split("_")[0]] * loss for name, loss in expected.items()).backward()
    for way, network in zip(DIRECTIONS, (f, g), strict=True):
        assert (ours[way] - gradients(network)).norm() < 1e-3 * ours[way].norm()


def test_each_network_learns_from_its_own_losses_alone(accelerator):
    gan = built(accelerator, PLAIN)
    pair = {"a2b": images(1), "b2a": images(2)}
    fakes, _ = gan.accumulate_generators(pair, {}, 1)
    assert all(weight.grad is None for way in DIRECTIONS for weight in gan.discriminators[way].raw.parameters())
    before = {way: gradients(gan.generators[way].raw) for way in DIRECTIONS}
    losses = gan.accumulate_discriminators(pair, fakes, torch.Generator(), 1)
    for way, back in zip(DIRECTIONS, reversed(DIRECTIONS), strict=True):
        assert torch.equal(before[way], gradients(gan.generators[way].raw))
        network = gan.discriminators[way].raw
        expected = (((network(pair[back])[-1] - 1) ** 2).mean() + (network(fakes[way])[-1] ** 2).mean()) / 2
        assert losses[f"d_{way}"].item() == pytest.approx(expected.item(), rel=1e-4)
        assert gradients(network).abs().max() > 0


def test_a_batch_in_parts_moves_the_weights_as_the_whole(accelerator):
    states = []
    for parts in (1, 2):
        gan = built(accelerator, PLAIN.model_copy(update={"grad_accumulation": parts}))
        means = gan.step((images(1), images(2)), (roles(), roles()), 0, torch.Generator())
        moments = [state["exp_avg"].flatten() for state in gan.generators["a2b"].optimizer.state.values()]
        states.append((torch.cat(moments), means["cycle_a2b"].item()))
    assert (states[0][0] - states[1][0]).norm() < 1e-3 * states[0][0].norm()
    assert states[0][1] == pytest.approx(states[1][1], rel=1e-4)


def test_the_learning_rate_falls_from_the_middle_to_nothing_and_adam_is_that_of_the_paper(accelerator):
    gan = built(accelerator, changed(training={"images": 80, "batch": 8, "learning_rate": 1e-3}))
    for learner in gan.learners.values():
        assert [learner.schedule(step) for step in (0, 5, 8)] == pytest.approx([1e-3, 1e-3, 4e-4])
        assert learner.optimizer.param_groups[0]["betas"] == BETAS == (0.5, 0.999)


def test_weights_of_losses_count(accelerator):
    """Without the cycle and the identity only the discriminators teach."""
    grads = []
    for changes in ({"cycle_weight": 0, "identity_weight": 0}, {"cycle_weight": 1e6, "identity_weight": 0}):
        gan = built(accelerator, PLAIN.model_copy(update=changes))
        _, losses = gan.accumulate_generators({"a2b": images(1), "b2a": images(2)}, {}, 1)
        assert losses["identity_a2b"].item() == 0
        grads.append(gradients(gan.generators["a2b"].raw))
    assert grads[1].norm() > 1e3 * grads[0].norm() > 0
