"""StyleGAN2 as Karras et al. 2020 (https://arxiv.org/abs/1912.04958) print it, with the weights of ours.

Weights (B, O, I, 3, 3) of each image, modulated and demodulated (equations 1 to 3), a convolution grouped by images,
enlargement by zero insertion and a padded 4x4 filter, bias and scaled leaky ReLU as passes of their own; in training
the discriminator, its penalty in every eighth step, then the generator.
"""

import copy
import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facemill.networks.diff_augment import Augmentation, DiffAugment
from facemill.networks.style_discriminator import EqualConv, ResidualBlock, StyleDiscriminator, with_deviation
from facemill.networks.style_layers import GAIN, ModulatedConv, ToRgb, enlarged
from facemill.networks.stylegan2 import StyleGenerator

Enlargement = Literal["zeros", "bilinear", "transposed"]
LEVEL = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
FILTER = (LEVEL[:, None] * LEVEL)[None, None]
"""The papers' filter, (1, 1, 4, 4); its sum is 1."""
DIFF_AUGMENT: list[Augmentation] = ["translation", "cutout"]
PENALTY_EVERY = 8
R1 = 3.0


def filtered(x: Tensor, pad: tuple[int, int], gain: float = 1) -> Tensor:
    """Maps padded by zeros (before, after) on both axes, then filtered, each channel on its own."""
    channels = x.shape[1]
    return F.conv2d(F.pad(x, (*pad, *pad)), gain * FILTER.expand(channels, 1, 4, 4), groups=channels)


def inserted(x: Tensor) -> Tensor:
    """Maps of twice the size by zero insertion and filter."""
    batch, channels, height, width = x.shape
    zeros = x.new_zeros(batch, channels, height, 2, width, 2)
    zeros[:, :, :, 0, :, 0] = x
    return filtered(zeros.reshape(batch, channels, 2 * height, 2 * width), (2, 1), 4)


class PlainGenerator(nn.Module):
    """The published forward pass with a generator's weights: codes z to images.

    Args:
        generator: the generator.
        enlarges: how maps are enlarged: by zero insertion as in the paper; `bilinear`, as ours; or `transposed`, zero
            insertion and convolution in one, of a quarter of the products, before the filter.
    """

    def __init__(self, generator: StyleGenerator, enlarges: Enlargement) -> None:
        super().__init__()
        self.generator, self.enlarges = generator, enlarges

    def forward(self, z: Tensor) -> Tensor:
        w, x = self.generator.map(z), self.generator.constant.expand(len(z), -1, -1, -1)
        enlarge = enlarged if self.enlarges == "bilinear" else inserted
        image = torch.zeros(())
        for level in self.generator.levels:
            for index, conv in enumerate(level.convs):
                x = self.convolve(x, w, conv, enlarges=not (level.lowest or index))
            rgb = plain_rgb(x, w, level.to_rgb)
            image = rgb if level.lowest else enlarge(image) + rgb
        return image

    def convolve(self, x: Tensor, w: Tensor, conv: ModulatedConv, *, enlarges: bool) -> Tensor:
        """A modulated convolution by weights of each image (equations 1 to 3), after enlargement or not."""
        style = conv.style(w)[:, None, :, None, None]
        weight = conv.weight / math.sqrt(conv.weight[0].numel()) * style
        weight = weight * (weight.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
        if enlarges and self.enlarges == "transposed":
            grouped = weight.flip(3, 4).transpose(1, 2).flatten(0, 1)
            y = F.conv_transpose2d(x.reshape(1, -1, *x.shape[2:]), grouped, stride=2, groups=len(x))
            y = filtered(y.unflatten(1, (len(x), -1))[0], (1, 1), 4)
        else:
            x = (enlarged(x) if self.enlarges == "bilinear" else inserted(x)) if enlarges else x
            y = grouped_conv(x, weight, padding=1)
        return F.leaky_relu(y + conv.bias, 0.2) * GAIN


def plain_rgb(x: Tensor, w: Tensor, to_rgb: ToRgb) -> Tensor:
    """RGB by weights of each image."""
    weight = to_rgb.weight * to_rgb.style(w)[:, None, :, None, None]
    return grouped_conv(x, weight, padding=0) + to_rgb.bias[:, None, None]


def grouped_conv(x: Tensor, weight: Tensor, padding: int) -> Tensor:
    """A convolution of maps (B, I, H, W) with weights of each image (B, O, I, k, k)."""
    y = F.conv2d(x.reshape(1, -1, *x.shape[2:]), weight.flatten(0, 1), padding=padding, groups=len(x))
    return y.unflatten(1, (len(x), -1))[0]


class PlainDiscriminator(nn.Module):
    """The published forward pass with a discriminator's weights: images to logits.

    Args:
        discriminator: the discriminator.
        averages: whether averages over 2x2 pixels halve maps, as ours do, or the papers' filter and a stride of 2.
    """

    def __init__(self, discriminator: StyleDiscriminator, averages: bool) -> None:
        super().__init__()
        self.discriminator, self.averages = discriminator, averages

    def forward(self, images: Tensor) -> Tensor:
        network = self.discriminator
        x = activated(plain_conv(images, network.from_rgb, padding=0))
        for block in network.blocks:
            x = self.block(x, block)
        x = activated(plain_conv(with_deviation(x), network.conv, padding=1))
        linear = network.linear
        x = activated(F.linear(x.flatten(1), linear.weight / math.sqrt(linear.weight.shape[1]), linear.bias))
        return network.logit(x)[:, 0]

    def block(self, x: Tensor, block: ResidualBlock) -> Tensor:
        """A residual block."""
        y = activated(plain_conv(x, block.first, padding=1))
        if self.averages:
            y = activated(plain_conv(F.avg_pool2d(y, 2), block.second, padding=1))
            shortcut = plain_conv(F.avg_pool2d(x, 2), block.shortcut, padding=0)
        else:
            y = activated(plain_conv(filtered(y, (2, 2)), block.second, padding=0, stride=2))
            shortcut = plain_conv(filtered(x, (1, 1)), block.shortcut, padding=0, stride=2)
        return (y + shortcut) / math.sqrt(2)


def plain_conv(x: Tensor, conv: EqualConv, padding: int, stride: int = 1) -> Tensor:
    """A convolution with an equalized learning rate; gains follow in passes of their own."""
    weight = conv.weight / math.sqrt(conv.weight[0].numel())
    return F.conv2d(x, weight, conv.bias, padding=padding, stride=stride)


def activated(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2) * GAIN


@dataclass
class PlainGan:
    """The published training.

    Attributes:
        generator: codes z to images.
        discriminator: images to logits.
    """

    generator: nn.Module
    discriminator: nn.Module

    def __post_init__(self) -> None:
        self.ema = copy.deepcopy(self.generator).requires_grad_(False)
        networks = (self.generator, self.discriminator)
        self.adams = [torch.optim.Adam(n.parameters(), 3e-3, betas=(0.0, 0.99), fused=True) for n in networks]

    def iteration(self, real: Tensor, z: Tensor, step: int) -> None:
        """A step of both networks."""
        self.step_discriminator(real, z)
        if step % PENALTY_EVERY == 0:
            self.step_penalty(real)
        self.discriminator.requires_grad_(False)
        generator_adam, _ = self.adams
        generator_adam.zero_grad()
        F.softplus(-self.discriminator(augmented(self.generator(z)))).mean().backward()
        generator_adam.step()
        self.discriminator.requires_grad_(True)
        with torch.no_grad():
            torch._foreach_lerp_([*self.ema.parameters()], [*self.generator.parameters()], 0.002)

    def step_discriminator(self, real: Tensor, z: Tensor) -> None:
        """A step of the discriminator on real and on new images."""
        with torch.no_grad():
            fake = self.generator(z)
        losses = F.softplus(self.discriminator(augmented(fake))), F.softplus(-self.discriminator(augmented(real)))
        self._move_discriminator(losses[0].mean() + losses[1].mean())

    def step_penalty(self, real: Tensor) -> None:
        """A step of R1 alone."""
        images = augmented(real).requires_grad_()
        (gradients,) = torch.autograd.grad(self.discriminator(images).sum(), images, create_graph=True)
        self._move_discriminator(PENALTY_EVERY * R1 / 2 * gradients.square().sum((1, 2, 3)).mean())

    def _move_discriminator(self, loss: Tensor) -> None:
        _, adam = self.adams
        adam.zero_grad()
        loss.backward()
        adam.step()


def augmented(images: Tensor) -> Tensor:
    """Images as the discriminator sees them, in both trainings."""
    batch, _, height, width = images.shape
    return DiffAugment(batch, height, width, images.device, DIFF_AUGMENT).images(images)
