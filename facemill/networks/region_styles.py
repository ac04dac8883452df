"""Style codes by region: the mean color of each class in a portrait.

One code a class is the idea of SEAN (Zhu et al. 2020, https://arxiv.org/abs/1911.12861, section 3.1), which averages an
encoder's features over each region; here the colors themselves are averaged, which nobody must train.
"""

import torch
from torch import Tensor, nn

CODE = 3
"""Numbers of a class's code: red, green and blue."""


def encode_regions(images: Tensor, masks: Tensor, classes: int) -> Tensor:
    """Codes float32 (B, classes * CODE) of images (B, 3, H, W) in [-1, 1]; NaN for classes that a mask lacks.

    Args:
        images: the portraits.
        masks: their class ids (B, H, W).
        classes: number of classes.
    """
    sums, counts = region_sums(images, masks, classes)
    return (sums / counts).flatten(1)


def region_sums(images: Tensor, masks: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """The sums of each class's colors, float32 (B, classes, CODE), and its numbers of pixels, float32 (B, classes, 1).

    The arguments are those of `encode_regions`.
    """
    with torch.autocast(images.device.type, enabled=False):
        members = of_classes(masks, classes).flatten(1, 2).float().transpose(1, 2)
        return members @ images.float().flatten(2).transpose(1, 2), members.sum(2, keepdim=True)


def of_classes(masks: Tensor, classes: int) -> Tensor:
    """Whether pixels are of each class: class ids (B, H, W) to bool (B, H, W, classes)."""
    return masks[..., None] == torch.arange(classes, device=masks.device)


class RegionShift(nn.Module):
    """Adds to features what a linear layer makes of the code of each pixel's class."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(CODE, channels)

    def forward(self, x: Tensor, members: Tensor, codes: Tensor) -> Tensor:
        """Features (B * K, channels, H, W), shifted.

        Args:
            x: features of B masks in K styles each.
            members: the masks, (B, H, W, classes) of zeros and ones.
            codes: style codes, (B * K, classes * CODE).
        """
        table = self.linear(codes.unflatten(1, (-1, CODE))).unflatten(0, (len(members), -1))
        shift = members.flatten(1, 2).to(table.dtype)[:, None] @ table
        return x + shift.unflatten(2, members.shape[1:3]).flatten(0, 1).permute(0, 3, 1, 2)
