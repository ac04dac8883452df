"""Losses of CycleGAN, and of what a translation shall keep: masks and colors.

Source: Zhu et al. 2017 (https://arxiv.org/abs/1703.10593). Cycle (equation 2) and identity (section 5.2) are plain L1.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

MIN_PIXELS = 16
"""A region of fewer pixels has no mean color."""

_NOT_A_MEMBER = -1e4
"""The logarithm of a probability that adds nothing; finite, for finite gradients."""

_TO_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
_WHITE = (0.950456, 1.0, 1.088754)  # D65
_LINEAR_BELOW = 0.008856


def generator_loss(fake: Tensor) -> Tensor:
    """Least squares (section 4): logits of translations toward 1."""
    return ((fake - 1) ** 2).mean()


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Least squares (section 4): logits of real portraits toward 1, of translations toward 0; half the sum."""
    return (((real - 1) ** 2).mean() + (fake**2).mean()) / 2


def mask_loss(logits: Tensor, roles: Tensor, members: Tensor, ignore: int) -> Tensor:
    """Cross-entropy between the roles that a U-Net sees and those of a mask; pixels without a role do not count.

    Args:
        logits: of the U-Net's classes (B, classes, H, W).
        roles: indices of roles, uint8 (B, H, W), or `ignore`.
        members: which class has which role, bool (roles, classes); pixels of a role without a class do not count.
        ignore: of pixels that do not count.

    Returns:
        A scalar; 0 where no pixel counts.
    """
    of_classes = logits.float().log_softmax(1)[:, None].masked_fill(~members[:, :, None, None], _NOT_A_MEMBER)
    targets = roles.long()
    known = torch.cat([members.any(1), members.new_zeros(ignore + 1 - len(members))])
    targets = torch.where(known[targets], targets, ignore)
    counted = (targets != ignore).sum().clamp(min=1)
    return F.nll_loss(of_classes.logsumexp(2), targets, ignore_index=ignore, reduction="sum") / counted


def color_loss(images: Tensor, translated: Tensor, regions: Tensor) -> Tensor:
    """L1 between mean CIELAB colors of regions in images and in their translations, in hundredths of L*'s range.

    Args:
        images: (B, 3, H, W) in [-1, 1].
        translated: of the same shape.
        regions: float (B, R, H, W), 1 inside a region; those of fewer than `MIN_PIXELS` do not count.

    Returns:
        A scalar; 0 where there is no region.
    """
    sizes = regions.sum((2, 3))

    def means(pictures: Tensor) -> Tensor:
        """Mean colors of the regions (B, R, 3)."""
        sums = torch.einsum("brhw,bchw->brc", regions, to_lab(pictures))
        return sums / sizes.clamp(min=1)[..., None]

    differences = (means(translated) - means(images)).abs().mean(2)
    counted = (sizes >= MIN_PIXELS).to(differences.dtype)
    return (differences * counted).sum() / counted.sum().clamp(min=1) / 100


def to_lab(images: Tensor) -> Tensor:
    """CIELAB (D65) of sRGB images (B, 3, H, W) in [-1, 1]: float32 (B, 3, H, W), L* from 0 to 100."""
    srgb = (images.float().clamp(-1, 1) + 1) / 2
    linear = torch.where(srgb > 0.04045, ((srgb.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4, srgb / 12.92)
    matrix = torch.tensor(_TO_XYZ, device=images.device) / torch.tensor(_WHITE, device=images.device)[:, None]
    xyz = torch.einsum("ij,bjhw->bihw", matrix, linear)
    root = torch.where(xyz > _LINEAR_BELOW, xyz.clamp(min=_LINEAR_BELOW) ** (1 / 3), 7.787 * xyz + 16 / 116)
    x, y, z = root.unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)
