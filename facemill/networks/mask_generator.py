"""StyleGAN2's generator for masks: as many channels as classes, whose softmax is the share of each class in a pixel."""

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from facemill.networks.region_styles import of_classes
from facemill.networks.stylegan2 import StyleGenerator


class MaskGenerator(StyleGenerator):
    """Codes z to styles w, and styles to shares of classes, float32 (B, classes, H, W); `colors` are the classes."""

    def synthesize(self, styles: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """Shares of classes (B, classes, H, W), 1 in all, of styles, which are given as those of portraits are."""
        return super().synthesize(styles, noise).float().softmax(1)


def soft_masks(masks: Tensor, classes: int) -> Tensor:
    """Masks of class ids (B, H, W) as shares of classes, float32 (B, classes, H, W), averaged over 3x3 pixels.

    A generator's shares are never quite 0 and 1: without the average a discriminator would know masks by their edges.
    """
    one_hot = of_classes(masks, classes).permute(0, 3, 1, 2).float()
    return F.avg_pool2d(F.pad(one_hot, (1, 1, 1, 1), mode="replicate"), 3, 1)
