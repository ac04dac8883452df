"""Losses of a GAN whose discriminator segments, and LabelMix.

Source: Schönfeld et al. 2021 (OASIS, https://arxiv.org/abs/2012.04781), equations 1 to 4.

Logits are (B, C + 1, H, W): of C classes, and of "fake". Masks are one-hot, float32 (B, C, H, W); a pixel that is
zero in every class, being unlabelled or cut out of an augmented image, has no loss. Losses are means over all pixels.
"""

import torch
from torch import Tensor

LABEL_MIX_WEIGHT = 10
"""Weight of `label_mix_loss` in the discriminator's loss."""


def balancing_weights(shares: Tensor) -> Tensor:
    """The weight of each class (eq. 2), float32 (C,): one over its share of the pixels, and 0 where it has none.

    They are divided by the number of classes that occur. Real images then have the weight of generated ones, whatever
    the number of classes is.

    Args:
        shares: the share of the batch's pixels that each class has, (C,).
    """
    present = shares > 0
    return torch.where(present, 1 / shares, 0) / present.sum().clamp(min=1)


def class_loss(logits: Tensor, mask: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy to the mask's classes with the weights (C,): the first term of eq. 1, and with generated images the
    generator's loss (eq. 3)."""
    log_probs = logits.float().log_softmax(1)[:, :-1]
    return -(log_probs * mask * weights.view(-1, 1, 1)).sum(1).mean()


def fake_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy of generated images to the class "fake": the second term of eq. 1."""
    log_probs = logits.float().log_softmax(1)[:, -1]
    return -(log_probs * mask.sum(1)).mean()


def random_mix(mask: Tensor) -> Tensor:
    """The mask M of LabelMix, float32 (B, 1, H, W): in each image a coin for each class says whether it is 1 there."""
    coins = torch.randint(0, 2, (*mask.shape[:2], 1, 1), device=mask.device)
    return (mask * coins).sum(1, keepdim=True)


def label_mix(real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """LabelMix: `real` where the mask M is 1 and `fake` where it is 0, of images or of logits."""
    return mix * real + (1 - mix) * fake


def label_mix_loss(mixed: Tensor, real: Tensor, fake: Tensor, mix: Tensor, mask: Tensor) -> Tensor:
    """The discriminator's consistency (eq. 4): the logits of mixed images shall be the mixed logits.

    Args:
        mixed: logits of the images that `label_mix` mixed.
        real: logits of the real images.
        fake: logits of the generated images.
        mix: the mask M.
        mask: the one-hot mask.

    Returns:
        Mean square of the differences.
    """
    differences = mixed.float() - label_mix(real.float(), fake.float(), mix)
    return (differences**2 * mask.sum(1, keepdim=True)).mean()
