"""Losses of StyleGAN: non-saturating with R1, R3GAN's relativistic one, and ACGAN's cross-entropy.

Sources: Goodfellow et al. 2014 (https://arxiv.org/abs/1406.2661), section 3, for the non-saturating loss; Mescheder et
al. 2018 (https://arxiv.org/abs/1801.04406), equation 9, for R1 and R2; Huang et al. 2024
(https://arxiv.org/abs/2501.05441), equation 2, for the relativistic loss; Odena et al. 2017
(https://arxiv.org/abs/1610.09585), section 3, for ACGAN.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Loss = Literal["logistic", "relativistic"]


def generator_loss(loss: Loss, fake: Tensor, real: Tensor) -> Tensor:
    """The generator's loss of logits (B,): softplus(-D(fake)), or relative to those of as many real images."""
    return F.softplus(-fake if loss == "logistic" else real - fake).mean()


def discriminator_loss(loss: Loss, fake: Tensor, real: Tensor) -> Tensor:
    """The discriminator's loss of logits (B,) of generated and of real images."""
    if loss == "logistic":
        return F.softplus(fake).mean() + F.softplus(-real).mean()
    return F.softplus(fake - real).mean()


def gradient_penalty(logits: Tensor, images: Tensor) -> Tensor:
    """Half the mean squared length of the gradients of logits (B,) by their images (B, 3, H, W), with a graph."""
    (gradients,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradients.float().square().sum((1, 2, 3)).mean() / 2


def class_loss(predictions: Sequence[Tensor], slots: Tensor) -> Tensor:
    """ACGAN's cross-entropy, mean over groups: predictions (B, slots) of each, and the slots, int64 (B, groups).

    Odena et al. let the discriminator learn from generated images, too; here it learns classes from real ones alone.
    """
    losses = [F.cross_entropy(p, slot) for p, slot in zip(predictions, slots.unbind(1), strict=True)]
    return torch.stack(losses).mean()
