"""A step of StyleGAN's two networks: gradients, parts of a batch, the lazy penalty, ramp, mixing, augmentation."""

import pytest
import torch
from accelerate import Accelerator
from helpers.stylegan import changed
from torch import Tensor, nn
from torch.optim import SGD

from facemill.networks.stylegan_losses import class_loss
from facemill.stylegan.gan import BETA, StyleGan, build_gan
from facemill.training.learner import EmaLearner, Learner

NAMES = {"hair_color": ["black_hair", "red_hair"], "smile": ["smile"]}
COMBINATIONS = torch.tensor([[0, 0], [1, 1], [2, 0]])


def make_gan(accelerator: Accelerator, **changes) -> StyleGan:
    """Networks of a seed, with plain SGD, without what is random in the images that the discriminator sees."""
    settings = changed(**{"diff_augment": [], "grad_accumulation": 1, "condition_ramp": [0, 0]} | changes)
    torch.manual_seed(0)
    gan = build_gan(accelerator, settings, 1, NAMES, COMBINATIONS, torch.ones(3) / 3)
    generator, discriminator = gan.generator.raw, gan.discriminator.raw
    return StyleGan(
        accelerator,
        EmaLearner(accelerator, generator, SGD(generator.parameters(), 0.1), lambda step: 0.1),
        Learner(accelerator, discriminator, SGD(discriminator.parameters(), 0.1), lambda step: 0.1),
        settings,
    )


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    torch.manual_seed(3)
    return torch.rand(8, 3, 32, 32) * 2 - 1, COMBINATIONS[torch.randint(3, (8,))]


def gradients(network: nn.Module) -> list[Tensor]:
    return [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in network.parameters()]


@pytest.mark.parametrize("loss", ["logistic", "relativistic"])
@pytest.mark.parametrize("discriminator", ["projection", "acgan"])
@pytest.mark.parametrize("step", [1, 2])
def test_one_pass_gives_the_gradients_of_each_networks_loss(accelerator, batch, loss, discriminator, step):
    """Those of two losses that are written out, on the same images; a penalty is in every second step, and twofold."""
    real, slots = batch
    gan = make_gan(accelerator, loss=loss, discriminator=discriminator)
    torch.manual_seed(5)
    losses = gan.accumulate_gradients(real, slots, step, share=1)
    computed = [gradients(network) for network in (gan.generator.raw, gan.discriminator.raw)]

    reference = make_gan(accelerator, loss=loss, discriminator=discriminator)
    generator, judge = reference.generator.raw, reference.discriminator.raw
    condition = generator.condition(slots)
    torch.manual_seed(5)
    fakes = reference.generate(8, condition, 1)
    of_fakes, of_reals = judge(fakes, condition), judge(real, condition)
    difference = of_reals.logits - of_fakes.logits
    softplus = nn.functional.softplus
    loss_g = softplus(-of_fakes.logits if loss == "logistic" else difference).mean()
    acgan = discriminator == "acgan"
    loss_g = loss_g + (0.5 * class_loss(of_fakes.classes, slots) if acgan else 0)
    expected = [torch.autograd.grad(loss_g, [*generator.parameters()], retain_graph=True, materialize_grads=True)]

    images = [fakes.detach().requires_grad_(), real.clone().requires_grad_()]
    of_fakes, of_reals = (judge(pixels, condition) for pixels in images)
    if loss == "logistic":
        loss_d = softplus(of_fakes.logits).mean() + softplus(-of_reals.logits).mean()
    else:
        loss_d = softplus(of_fakes.logits - of_reals.logits).mean()
    loss_d = loss_d + (0.5 * class_loss(of_reals.classes, slots) if acgan else 0)
    assert losses["loss_d"].item() == pytest.approx(loss_d.item(), rel=1e-5)
    assert losses["loss_g"].item() == pytest.approx(loss_g.item(), rel=1e-5)
    if step == 2:
        penalized = (
            zip(images, (of_fakes, of_reals), strict=True) if loss == "relativistic" else [(images[1], of_reals)]
        )
        for pixels, output in penalized:
            (slope,) = torch.autograd.grad(output.logits.sum(), pixels, create_graph=True)
            length = slope.square().sum((1, 2, 3)).mean()
            loss_d = loss_d + 2 * 3 * (32 * 32 / 64**2) / 2 * length  # penalty_every, r1, its share of the pixels
    expected.append(torch.autograd.grad(loss_d, [*judge.parameters()], materialize_grads=True))
    assert (losses["penalty"] > 0) == (step == 2)
    for ours, theirs in zip(computed, expected, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, atol=2e-5, rtol=1e-3)


@pytest.mark.parametrize("discriminator", ["projection", "acgan"])
def test_a_batch_in_parts_gives_the_mean_of_their_gradients(accelerator, batch, discriminator):
    real, slots = batch
    whole = make_gan(accelerator, discriminator=discriminator, grad_accumulation=2)
    torch.manual_seed(5)
    losses = whole.step(real, slots, step=2)
    parts = make_gan(accelerator, discriminator=discriminator)
    torch.manual_seed(5)
    pairs = zip(real.chunk(2), slots.chunk(2), strict=True)
    each = [parts.accumulate_gradients(*part, 2, share=1) for part in pairs]
    for learner in parts.learners.values():
        for weight in learner.raw.parameters():
            weight.grad = None if weight.grad is None else weight.grad / 2
        learner.update(2)
    for name, value in losses.items():
        assert value.item() == pytest.approx(sum(part[name].item() for part in each) / 2, rel=1e-5)
    for name in ("generator", "discriminator"):
        pair = (gan.learners[name].raw.parameters() for gan in (whole, parts))
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*pair, strict=True))


def test_a_step_moves_every_weight_and_leaves_no_gradients(accelerator, batch):
    gan = make_gan(accelerator)
    gan.step(*batch, step=1)
    networks = [learner.raw for learner in gan.learners.values()]
    assert all(weight.grad is None for network in networks for weight in network.parameters())
    start = make_gan(accelerator)
    for name, learner in gan.learners.items():
        before = dict(start.learners[name].raw.named_parameters())
        moved = {key for key, weight in learner.raw.named_parameters() if not torch.equal(weight, before[key])}
        assert moved == before.keys()


@pytest.mark.parametrize("batch_size", [8, 32])
def test_after_ten_thousand_images_weights_count_half_as_much_in_the_average(accelerator, batch_size):
    training = {"images": 100_000, "batch": batch_size, "learning_rate": 1e-3}
    settings = changed(training=training)
    gan = build_gan(accelerator, settings, 1, NAMES, COMBINATIONS, torch.ones(3) / 3)
    assert gan.generator.decay ** (10_000 / batch_size) == pytest.approx(0.5)


def test_conditions_come_in_between_two_shares_of_the_training(accelerator):
    gan = make_gan(accelerator, condition_ramp=[0.2, 0.6])  # of five steps
    assert [gan.ramp(step) for step in range(5)] == pytest.approx([0, 0, 0.5, 1, 1])
    assert [make_gan(accelerator, condition_ramp=[0, 0]).ramp(step) for step in range(2)] == [0, 1]


def test_without_the_ramp_conditions_are_without_effect(accelerator, batch):
    real, slots = batch
    gan = make_gan(accelerator, condition_ramp=[0.9, 1])
    losses = []
    for told in (slots, slots.flip(0)):
        torch.manual_seed(5)
        losses.append(gan.accumulate_gradients(real, told, 1, share=1))
    assert all(torch.equal(losses[0][name], losses[1][name]) for name in losses[0])


@pytest.mark.parametrize(("share", "mixed"), [(0, 0), (1, 40), (0.5, 20)])
def test_styles_are_mixed_in_their_share_of_the_steps(accelerator, share, mixed):
    gan = make_gan(accelerator, style_mixing=share)
    seconds, crossovers = [], []

    def note(network: nn.Module, arguments: tuple) -> None:
        *_, second, crossover, _ = arguments
        seconds.append(second is not None)
        crossovers.append(crossover)

    gan.generator.net.register_forward_pre_hook(note)
    condition = gan.generator.raw.condition(torch.zeros(4, 2, dtype=torch.int64))
    torch.manual_seed(0)
    for _ in range(40):
        gan.generate(4, condition, 1)
    assert abs(sum(seconds) - mixed) <= (8 if 0 < share < 1 else 0)
    assert set(crossovers) == set(range(1, gan.generator.raw.layers))


def test_reals_and_fakes_are_augmented_each_in_its_own_way(accelerator):
    gan = make_gan(accelerator, diff_augment=["translation", "cutout"])
    images = torch.rand(8, 3, 32, 32)
    torch.manual_seed(0)
    first, second = gan.augmented(images), gan.augmented(images)
    assert not torch.equal(first, second) and (first == 0).any()
    assert make_gan(accelerator).augmented(images) is images


def test_the_lazy_penalty_slows_the_discriminators_adam(accelerator):
    """Karras et al. 2020, appendix B: rate and betas of k / (k + 1) of a step."""
    gan = build_gan(accelerator, changed(penalty_every=4), 1, NAMES, COMBINATIONS, torch.ones(3) / 3)
    groups = [learner.optimizer.param_groups[0] for learner in (gan.generator, gan.discriminator)]
    assert [group["betas"] for group in groups] == [(0, BETA), (0, pytest.approx(BETA**0.8))]
    assert gan.generator.schedule(0) == pytest.approx(3e-3) and gan.discriminator.schedule(0) == pytest.approx(2.4e-3)
    assert torch.equal(gan.generator.ema.combinations, COMBINATIONS)
