"""What translations shall keep: the masks that the other collection's U-Net sees again, and colors of regions."""

import torch
from torch import Tensor
from torch.nn import functional as F

from facemill.data.classes import IGNORE, ROLES, ClassTable, Role
from facemill.networks.cyclegan_losses import color_loss, mask_loss
from facemill.networks.device import autocast
from facemill.networks.unet import Unet
from facemill.translate.domains import role_members

COLORED: tuple[Role, ...] = ("hair", "face")
"""Roles whose mean colors stay."""


class PreservationLosses:
    """Losses of one direction.

    Args:
        unet: that knows the collection into whose manner is translated, frozen here; None without a loss of masks.
        classes: the U-Net's.
        with_colors: whether there is a loss of colors.
    """

    def __init__(self, unet: Unet | None, classes: ClassTable | None, with_colors: bool) -> None:
        self.unet = unet.requires_grad_(False) if unet else None
        self.members = role_members(classes).to(next(unet.parameters()).device) if unet and classes else None
        self.with_colors = with_colors

    def losses(self, images: Tensor, translated: Tensor, roles: Tensor) -> dict[str, Tensor]:
        """Scalars: `mask` and `color`, as far as they are asked for.

        Args:
            images: (B, 3, h, w) in [-1, 1].
            translated: of the same shape.
            roles: of the images' pixels, uint8 (B, H, W).
        """
        losses = {}
        if self.unet is not None and self.members is not None:
            height, width = translated.shape[2:]
            seen = resized(translated, self.unet.size, self.unet.size * width // height)
            with autocast():
                logits = self.unet((seen + 1) / 2)
            targets = F.interpolate(roles[:, None].float(), logits.shape[2:], mode="nearest-exact")[:, 0].byte()
            losses["mask"] = mask_loss(logits, targets, self.members, IGNORE)
        if self.with_colors:
            near = F.interpolate(roles[:, None].float(), images.shape[2:], mode="nearest-exact").byte()
            indices = torch.tensor([ROLES.index(role) for role in COLORED], device=roles.device)
            regions = (near == indices[None, :, None, None]).float()
            losses["color"] = color_loss(images, translated, regions)
        return losses


def resized(images: Tensor, height: int, width: int) -> Tensor:
    """Images (B, 3, h, w) at another size: enlarged bilinearly, or averaged."""
    if images.shape[2:] == (height, width):
        return images
    return F.interpolate(images, (height, width), mode="bilinear" if height > images.shape[2] else "area")
