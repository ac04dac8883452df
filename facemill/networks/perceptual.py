"""The perceptual loss: the distance between images in the features of a frozen network.

Sources: Johnson et al. 2016 (https://arxiv.org/abs/1603.08155), with weights of the layers as in pix2pixHD (Wang et al.
2018, https://arxiv.org/abs/1711.11585). The features are VGG16's, as theirs, or those of a U-Net's encoder, which
needs no weights from elsewhere.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from facemill.networks.store import load_model
from facemill.networks.unet import LAST_OF_STRIDE, Unet
from facemill.networks.vgg import LOSS_TAPS, Vgg16


class PerceptualLoss(nn.Module):
    """Weighted L1 between features of images (B, 3, H, W) in [-1, 1]; only the first images get gradients."""

    def __init__(self, network: nn.Module, weights: Sequence[float], *, relative: bool = False) -> None:
        """The loss in the features of a network.

        Args:
            network: a frozen network, images to lists of features, float32.
            weights: the weight of each of its features.
            relative: whether each L1 is divided by the mean magnitude of the target's features, image by image, so that
                the weights do not depend on the features' scales.
        """
        super().__init__()
        self.network, self.weights, self.relative = network, tuple(weights), relative

    def forward(self, images: Tensor, target: Tensor) -> Tensor:
        with torch.no_grad():
            targets = self.network(target)
        loss = torch.zeros((), device=images.device)
        for weight, features, wanted in zip(self.weights, self.network(images), targets, strict=True):
            distances = (features - wanted).abs().mean((1, 2, 3))
            loss = loss + weight * (distances / wanted.abs().mean((1, 2, 3)) if self.relative else distances).mean()
        return loss


class UnetFeatures(nn.Module):
    """Images (B, 3, H, W) in [-1, 1] to the features of a frozen U-Net's encoder at strides 2, 4, 8, 16 and 32.

    In float32, under autocast too: the gradient in bfloat16 has a cosine of .986 to that, and takes as long on a CPU.
    """

    def __init__(self, unet: Unet) -> None:
        super().__init__()
        self.unet = unet.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        with torch.autocast(images.device.type, enabled=False):
            _, *features = self.unet.encode((images + 1) / 2)
        return features


def vgg_loss(weights: Path) -> PerceptualLoss:
    """The perceptual loss in VGG16's features. Raises `UserError` when the file does not hold them."""
    return PerceptualLoss(Vgg16(weights, LOSS_TAPS), [*LOSS_TAPS.values()])


def unet_loss(unet: Path) -> PerceptualLoss:
    """The perceptual loss in the features of a trained U-Net's encoder, the deepest weighing most.

    Args:
        unet: a safetensors file.

    Raises:
        UserError: The model is missing, or no U-Net.
    """
    levels = len(LAST_OF_STRIDE)
    weights = [2.0 ** (level - levels) for level in range(1, levels + 1)]
    return PerceptualLoss(UnetFeatures(load_model(Unet, unet)), weights, relative=True)
