"""Portraits of a style generator whose feature maps are changed on the way, or kept where a region ends.

StyleGAN2's demodulation is computed of weights and styles alone (Karras et al. 2020, https://arxiv.org/abs/1912.04958,
equation 3), and no layer reads a statistic of its maps. So what is added to a map at one position reaches as far as the
later convolutions and enlargements do, and not one pixel farther; all others keep their bits.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from facemill.networks.style_layers import enlarged
from facemill.networks.stylegan2 import Level, StyleGenerator

Changes = Mapping[int, Tensor]
"""By layer what is added to its maps, float32 (B or 1, C, h, w), after the activation."""


class Stage(NamedTuple):
    """What a generator has computed up to a layer."""

    maps: Tensor
    """Of the layer, (B, C, h, w)."""
    image: Tensor
    """The image so far, (B, 3, h, w), of half the size where the level's RGB is still to come; empty before any."""


class Lock(NamedTuple):
    """What keeps portraits as they are outside a region."""

    styles: Tensor
    """Of the portraits as they are, (B, w_dim), or (B, layers, w_dim)."""
    region: Tensor
    """Share of each pixel that may change, float32 (B, 1, H, W) in [0, 1]; pixels of 0 keep their bits."""
    first: int
    """The first layer that changes; those below keep the styles of the portraits as they are."""


Blend = Callable[[Stage], Stage]


def synthesize(
    generator: StyleGenerator, styles: Tensor, changes: Changes | None = None, lock: Lock | None = None
) -> Tensor:
    """Images, float32 (B, 3, H, W); with neither changes nor a lock those of `generator.synthesize`, bit for bit.

    With a lock, maps and images are blended with those of the portraits as they are, at each layer: m * changed +
    (1 - m) * kept, with the region m shrunk to the layer. Of the maps alone this would not do, since each level's RGB
    reads the style everywhere. The image's last blend keeps the pixels outside; those before it and those of the maps
    let what changes be painted in its surroundings.

    Args:
        generator: the network, in evaluation mode.
        styles: (B, w_dim), or (B, layers, w_dim).
        changes: what is added to maps.
        lock: keeps a part of the images.
    """
    changes = changes or {}
    if lock is None:
        *_, last = stages(generator, styles, changes)
        return last.image
    kept = of_layers(generator, lock.styles)
    changed = torch.cat([kept[:, : lock.first], of_layers(generator, styles)[:, lock.first :]], 1)
    as_they_are, region = stages(generator, kept), lock.region

    def blend(stage: Stage) -> Stage:
        """The maps, and an image that this layer has painted, amid those of the portraits as they are."""
        original = next(as_they_are)
        share = shrunk(region, stage.maps.shape[2]).to(stage.maps)
        maps = _blended(original.maps, stage.maps, share)
        painted = stage.image.shape[2:] == stage.maps.shape[2:]
        return Stage(maps, _blended(original.image, stage.image, share) if painted else stage.image)

    *_, last = stages(generator, changed, changes, blend=blend)
    return last.image


def stages(
    generator: StyleGenerator,
    styles: Tensor,
    changes: Changes | None = None,
    start: tuple[int, Stage] | None = None,
    blend: Blend | None = None,
) -> Iterator[Stage]:
    """Yields what is computed at each layer; the last stage's image is the portraits'.

    Args:
        generator: the network.
        styles: (B, w_dim), or (B, layers, w_dim).
        changes: what is added to maps.
        start: the first layer that is computed, and the stage before it; by default all are.
        blend: replaces a stage.
    """
    styles, changes = of_layers(generator, styles), changes or {}
    constant = generator.constant.expand(len(styles), -1, -1, -1).contiguous(memory_format=torch.channels_last)
    first, (x, image) = start or (0, Stage(constant, torch.empty(0)))
    layer = 0
    for level in generator.levels:
        assert isinstance(level, Level)
        for index, conv in enumerate(level.convs):
            if layer >= first:
                x = conv(x, styles[:, layer])
                if layer in changes:  # the layout stays, by which convolutions choose their order of sums
                    x = (x + changes[layer].to(x)).contiguous(memory_format=torch.channels_last)
                if index == level.layers - 1:
                    rgb = level.to_rgb(x, styles[:, layer + 1])
                    image = rgb if level.lowest else enlarged(image) + rgb
                x, image = blend(Stage(x, image)) if blend else (x, image)
                yield Stage(x, image)
            layer += 1


def of_layers(generator: StyleGenerator, styles: Tensor) -> Tensor:
    """Styles of each layer, (B, layers, w_dim), of styles (B, w_dim), or (B, layers, w_dim)."""
    return styles[:, None].expand(-1, generator.layers, -1) if styles.dim() == 2 else styles


def shrunk(region: Tensor, height: int) -> Tensor:
    """A region, float32 (B, 1, H, W), at the height of a layer's maps, by averaging."""
    return F.avg_pool2d(region, region.shape[2] // height)


def _blended(kept: Tensor, changed: Tensor, share: Tensor) -> Tensor:
    """Shares (B, 1, h, w) of changed tensors, (B, C, h, w), amid kept ones, whose bits stay where the share is 0."""
    return torch.where(share > 0, torch.lerp(kept, changed, share), kept)


def reach(generator: StyleGenerator, layer: int, region: Tensor) -> Tensor:
    """The pixels that change when a layer's maps do: bool (B, 1, H, W).

    A 3x3 convolution carries a change one position farther, bilinear enlargement from a position to two and one more
    on each side; RGB, a 1x1 convolution, carries it nowhere.

    Args:
        generator: the network.
        layer: whose maps are changed.
        region: where they are, (B, 1, h, w) at the size of the layer's maps; all but 0 counts.
    """
    changed = (region != 0).float()
    sides = generator.sides()
    for before, side in pairwise(sides[layer:]):
        if side != before:
            changed = _dilated(changed.repeat_interleave(2, 2).repeat_interleave(2, 3))
        changed = _dilated(changed)
    return changed > 0


def _dilated(region: Tensor) -> Tensor:
    return F.max_pool2d(region, 3, 1, 1)
