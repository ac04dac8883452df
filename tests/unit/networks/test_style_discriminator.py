"""The residual discriminator: its layers against their definition, the minibatch deviation, what it is told."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from facemill.networks.style_discriminator import EqualConv, ResidualBlock, StyleDiscriminator, with_deviation

KWARGS = {"channels": [12, 10, 8]}


def activated(x: Tensor) -> Tensor:
    return math.sqrt(2) * F.leaky_relu(x, 0.2)


def scaled(conv: EqualConv) -> Tensor:
    return conv.weight / math.sqrt(conv.weight[0].numel())


def test_a_residual_block_is_the_mean_of_two_branches_that_keep_the_deviation():
    torch.manual_seed(0)
    block, x = ResidualBlock(6, 9), torch.randn(4, 6, 16, 16)
    for conv in (block.first, block.second):
        conv.bias.data.normal_()
    y = activated(F.conv2d(x, scaled(block.first), block.first.bias, padding=1))
    y = activated(F.conv2d(F.avg_pool2d(y, 2), scaled(block.second), block.second.bias, padding=1))
    expected = (y + F.conv2d(F.avg_pool2d(x, 2), scaled(block.shortcut))) / math.sqrt(2)
    torch.testing.assert_close(block(x), expected, atol=1e-5, rtol=1e-5)


def test_the_deviation_is_the_mean_over_four_images_of_a_batch():
    """Groups interleave: of eight images the first, third, fifth and seventh are one group."""
    x = torch.randn(8, 3, 2, 2)
    added = with_deviation(x)
    assert torch.equal(added[:, :3], x) and added.shape == (8, 4, 2, 2)
    for image in range(8):
        expected = x[image % 2 :: 2].var(0, unbiased=False).sqrt().mean()
        assert added[image, 3].flatten().tolist() == pytest.approx([expected.item()] * 4, rel=1e-4)


def test_images_all_alike_have_no_deviation_and_a_finite_gradient():
    x = torch.ones(4, 3, 2, 2, requires_grad=True)
    with_deviation(x)[:, 3].sum().backward()
    assert with_deviation(x)[:, 3].max() < 1e-3 and x.grad.isfinite().all()


@pytest.mark.parametrize("ratio", [1, 2])
def test_an_image_gets_a_logit(ratio):
    discriminator = StyleDiscriminator(**KWARGS, ratio=ratio)
    logits, classes = discriminator(torch.randn(4, 3, 16 * ratio, 16))
    assert logits.shape == (4,) and logits.dtype == torch.float32 and classes == []


def features_of(discriminator: StyleDiscriminator, images: Tensor) -> tuple[Tensor, Tensor]:
    """The features that the last linear layer reads, and the logits without any condition."""
    seen: list[Tensor] = []
    hook = discriminator.logit.register_forward_pre_hook(lambda layer, arguments: seen.append(arguments[0]))
    logits = discriminator(images).logits
    hook.remove()
    return seen[0], logits


def test_the_projection_adds_the_product_of_embedding_and_features():
    """Miyato and Koyama 2018, equation 4, over the root of the number of features, and times the ramp."""
    torch.manual_seed(0)
    discriminator = StyleDiscriminator(**KWARGS, slots=[2, 3])
    images, condition = torch.randn(2, 3, 16, 16), torch.tensor([[1.0, 0, 0, 1, 0], [0, 1.0, 0, 0, 1]])
    features, plain = features_of(discriminator, images)
    embedding = condition @ discriminator.embed.weight.T / math.sqrt(5) + discriminator.embed.bias
    match = (embedding * features).sum(1) / math.sqrt(12)
    assert match.abs().min() > 1e-4
    for ramp in (1, 0.25, 0):
        output = discriminator(images, condition, ramp)
        torch.testing.assert_close(output.logits, plain + ramp * match, atol=1e-5, rtol=1e-5)
        assert output.classes == []


def test_acgan_has_a_classifier_for_each_condition_and_does_not_read_them():
    torch.manual_seed(0)
    discriminator = StyleDiscriminator(**KWARGS, slots=[2, 3], conditioning="acgan")
    images, condition = torch.randn(2, 3, 16, 16), torch.eye(5)[:2]
    features, plain = features_of(discriminator, images)
    output = discriminator(images, condition)
    assert torch.equal(output.logits, plain)
    assert [predicted.shape for predicted in output.classes] == [(2, 2), (2, 3)]
    first = discriminator.classifiers[0]
    torch.testing.assert_close(output.classes[0], features @ first.weight.T / math.sqrt(12) + first.bias)
