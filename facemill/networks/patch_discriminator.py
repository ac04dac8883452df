"""Multi-scale PatchGAN discriminators.

Source: Wang et al. 2018, "High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs" (pix2pixHD,
https://arxiv.org/abs/1711.11585), section 3.2, as Park et al. 2019 use them for SPADE
(https://arxiv.org/abs/1903.07291, appendix A).
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facemill.networks.instance_norm import InstanceNorm


class PatchDiscriminator(nn.Module):
    """PatchGAN discriminator of images (B, 3, H, W) with their one-hot masks (B, classes, H, W), concatenated.

    Returns the features of every layer; the last are the logits (B, 1, h, w) of overlapping patches. Convolutions are
    padded by 1, in the published code by 2.
    """

    def __init__(self, *, ndf: int, classes: int, layers: int = 3) -> None:
        super().__init__()
        channels = [ndf * min(2**level, 8) for level in range(layers + 1)]
        steps = [nn.Sequential(nn.Conv2d(classes + 3, ndf, 4, stride=2, padding=1), nn.LeakyReLU(0.2))]
        for level, (inputs, outputs) in enumerate(pairwise(channels), 1):
            stride = 1 if level == layers else 2
            convolution = nn.Conv2d(inputs, outputs, 4, stride=stride, padding=1, bias=False)
            steps.append(nn.Sequential(convolution, InstanceNorm(), nn.LeakyReLU(0.2)))
        steps.append(nn.Sequential(nn.Conv2d(channels[-1], 1, 4, padding=1)))
        self.steps = nn.ModuleList(steps)

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        for step in self.steps:
            x = step(x)
            features.append(x)
        return features


class Discriminator(nn.Module):
    """PatchGAN discriminators at full size and at each half of it; returns the features of each, full size first."""

    def __init__(self, *, ndf: int, classes: int, scales: int = 2) -> None:
        """Discriminators with random weights.

        Args:
            ndf: channels after the first convolution.
            classes: number of classes of the masks.
            scales: number of discriminators.
        """
        super().__init__()
        self.scales = nn.ModuleList(PatchDiscriminator(ndf=ndf, classes=classes) for _ in range(scales))

    def forward(self, images: Tensor, mask: Tensor) -> list[list[Tensor]]:
        x = torch.cat([images, mask], 1).contiguous(memory_format=torch.channels_last)
        features = []
        for scale in self.scales:
            features.append(scale(x))
            x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
        return features
