"""Losses of GANs whose discriminators return the features of several scales, logits last.

Sources: Lim and Ye 2017, "Geometric GAN" (https://arxiv.org/abs/1705.02894), for the hinge losses; Wang et al. 2018,
pix2pixHD (https://arxiv.org/abs/1711.11585, equation 3), for feature matching.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def hinge_loss_discriminator(real: list[list[Tensor]], fake: list[list[Tensor]]) -> Tensor:
    """Hinge loss of the discriminators (Lim and Ye 2017), mean over scales."""
    losses = [F.relu(1 - r[-1]).mean() + F.relu(1 + f[-1]).mean() for r, f in zip(real, fake, strict=True)]
    return torch.stack(losses).mean() / 2


def hinge_loss_generator(fake: list[list[Tensor]]) -> Tensor:
    """Hinge loss of the generator: minus the mean logit, mean over scales."""
    return -torch.stack([f[-1].mean() for f in fake]).mean()


def feature_matching_loss(real: list[list[Tensor]], fake: list[list[Tensor]]) -> Tensor:
    """L1 between the discriminators' features, without logits, of real and generated images (Wang et al., eq. 3)."""
    pairs = [pair for rs, fs in zip(real, fake, strict=True) for pair in zip(rs[:-1], fs[:-1], strict=True)]
    return torch.stack([F.l1_loss(f, r.detach()) for r, f in pairs]).sum() / len(real)
