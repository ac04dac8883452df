"""The discriminator that segments: its shapes, gradients and cost."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from facemill.networks.patch_discriminator import Discriminator
from facemill.networks.segmentation_discriminator import SegmentationDiscriminator
from facemill.networks.spade import PRESETS, add_spectral_norm


@pytest.mark.parametrize("classes", [3, 7])
@pytest.mark.parametrize(("height", "width"), [(64, 64), (192, 96)])
def test_logits_of_each_pixel_and_gradients_of_each_weight(classes, height, width):
    discriminator = SegmentationDiscriminator(ndf=4, classes=classes)
    images = torch.rand(2, 3, height, width).requires_grad_()
    *features, logits = discriminator(images)
    assert logits.shape == (2, classes + 1, height, width)
    assert [f.shape[2:] for f in features] == [(height >> level, width >> level) for level in range(1, 6)]
    logits.square().sum().backward()
    assert all(weight.grad.any() for weight in discriminator.parameters())
    assert images.grad.ne(0).all()


def test_pixels_are_told_apart_and_see_the_whole_image():
    torch.manual_seed(0)
    discriminator, images = SegmentationDiscriminator(ndf=4, classes=3), torch.rand(1, 3, 64, 64).requires_grad_()
    [seen] = torch.autograd.grad(discriminator(images)[-1][0, 0, 5, 5], images)
    assert seen[0, :, 5, 5].abs().min() > 0 and seen[0, :, 60, 60].abs().min() > 0
    other = images.detach().clone()
    other[..., 32] += 1
    changes = (discriminator(other)[-1] - discriminator(images)[-1]).abs().mean((0, 1, 2))
    assert changes.argmax() in (31, 32, 33)


def operations(network: nn.Module, *inputs: torch.Tensor) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(*inputs)
    return counter.get_total_flops()


@pytest.mark.parametrize("preset", ["small", "large", "paper"])
def test_a_step_costs_about_what_it_does_with_patches(preset):
    """A pass back costs two, or one to the images alone, as for the generator; LabelMix is a further pass."""
    images, mask, widths = torch.zeros(1, 3, 64, 64), torch.zeros(1, 7, 64, 64), PRESETS[preset]
    patches = (2 + 1 + 4) * operations(Discriminator(ndf=widths.ndf, classes=7), images, mask)
    segmentation = SegmentationDiscriminator(ndf=widths.segmentation_ndf, classes=7)
    assert 0.7 < (3 + 1 + 6) * operations(segmentation, images) / patches < 1.6


def test_the_smallest_preset_has_spectral_norm_in_all_convolutions_of_its_blocks():
    discriminator = SegmentationDiscriminator(ndf=PRESETS["tiny"].segmentation_ndf, classes=7)
    convolutions = sum(isinstance(module, nn.Conv2d) for module in discriminator.modules())
    add_spectral_norm(discriminator.down)
    add_spectral_norm(discriminator.up)
    normed = [name for name, _ in discriminator.named_parameters() if name.endswith("original")]
    assert len(normed) == convolutions - 1
