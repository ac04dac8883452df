"""CycleGAN's generator: the paper's layers, and the same translation whatever is in the batch."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from facemill.networks.instance_norm import InstanceNorm
from facemill.networks.resnet_generator import PRESETS, ReflectedConv, ResnetGenerator


def generator(**changes) -> ResnetGenerator:
    torch.manual_seed(0)
    return ResnetGenerator(**{"width": 4, "blocks": 1} | changes)


def weights(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def test_the_presets_have_the_weights_of_the_paper_and_of_the_trial():
    """Of the paper's 9 blocks 11.4 million, of 6 blocks 7.8; transposed convolutions have as many weights."""
    counts = {name: weights(ResnetGenerator(width=p.width, blocks=p.blocks)) for name, p in PRESETS.items()}
    assert counts["paper9"] == 11_378_179 and counts["paper"] == 7_837_699 and 3.4e5 < counts["small"] < 3.5e5


@pytest.mark.parametrize("shape", [(2, 3, 64, 64), (1, 3, 128, 64), (1, 3, 36, 20)])
def test_translations_have_the_shape_of_images_and_pixels_in_range(shape):
    translated = generator()(torch.rand(shape) * 2 - 1)
    assert translated.shape == shape and translated.abs().max() <= 1


def test_masks_of_seven_channels_are_translated_too():
    assert generator(channels=7)(torch.zeros(1, 7, 32, 32)).shape == (1, 7, 32, 32)


def test_an_image_is_translated_alike_alone_and_among_others():
    """So translations and identities of one call are those of two."""
    network, images = generator(), torch.rand(4, 3, 32, 32) * 2 - 1
    together = network(images)
    alone = torch.cat([network(image[None]) for image in images])
    assert torch.allclose(together, alone, atol=1e-6)


def test_first_weights_are_drawn_from_a_normal_distribution_of_deviation_a_fiftieth():
    values = torch.cat([m.weight.flatten() for m in generator(width=16).modules() if isinstance(m, nn.Conv2d)])
    assert values.std().item() == pytest.approx(0.02, rel=0.02) and values.mean().abs() < 1e-3


def test_norm_and_padding_are_those_of_the_paper():
    """Instance norm; reflection: of a constant image nothing shows at the edges."""
    x = torch.randn(2, 5, 8, 8)
    assert torch.allclose(InstanceNorm()(x), nn.InstanceNorm2d(5)(x), atol=1e-5)
    assert torch.allclose(F.group_norm(x, 5), InstanceNorm()(x), atol=1e-5)  # what GPUs compute
    conv = ReflectedConv(1, 1, 3)
    plain = nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect")
    plain.load_state_dict(conv.state_dict())
    assert torch.equal(conv(x[:, :1]), plain(x[:, :1]))


def test_bfloat16_is_near_float32_and_stays_so_between_convolutions():
    network, images = generator(), torch.rand(2, 3, 32, 32) * 2 - 1
    plain, kinds = network(images), []
    for layer in network.modules():
        if isinstance(layer, InstanceNorm):
            layer.register_forward_hook(lambda _, inputs, output: kinds.append(output.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        half = network(images)
    assert set(kinds) == {torch.bfloat16} and half.dtype == torch.bfloat16 and (half.float() - plain).abs().max() < 0.05
