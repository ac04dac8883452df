"""Networks pretrained on ImageNet, without their head: a picture of a part of a face to the mean of its last features.

Sources: He et al. 2016 (ResNet, https://arxiv.org/abs/1512.03385); Sandler et al. 2018 (MobileNetV2,
https://arxiv.org/abs/1801.04381).
"""

from collections import OrderedDict
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from facemill.errors import UserError
from facemill.networks.device import device
from facemill.networks.imagenet import IMAGENET_MEAN, IMAGENET_STD, download_imagenet_weights, load_encoder
from facemill.networks.mobilenet import MobileNetV2
from facemill.networks.store import load_tensors

SIZE = 224
"""Side of the pictures that these networks were trained on."""

Architecture = Literal["resnet50", "mobilenet_v2"]


class PretrainedParts(nn.Module):
    """Pictures, float32 (B, 3, 224, 224) in [0, 1], to features (B, D): 2048 of ResNet50, 1280 of MobileNetV2."""

    mean: Tensor
    std: Tensor

    def __init__(self, architecture: Architecture, weights: Literal["imagenet"] | Path) -> None:
        """A frozen network, in evaluation mode, on `device()`.

        Args:
            architecture: which network.
            weights: `imagenet` (downloaded), or a safetensors file with torchvision's keys.

        Raises:
            UserError: The file is not safetensors, or does not fit.
        """
        super().__init__()
        if architecture == "mobilenet_v2":
            self.encoder: nn.Module = MobileNetV2()
            load_encoder(self.encoder, weights)
        else:
            self.encoder = _load_resnet50(weights)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))
        self.eval().requires_grad_(False).to(device()).to(memory_format=torch.channels_last)

    def forward(self, pictures: Tensor) -> Tensor:
        features: Tensor = self.encoder((pictures - self.mean) / self.std)
        return features.mean((2, 3))


def _load_resnet50(weights: Literal["imagenet"] | Path) -> nn.Module:
    """Pictures to the features (B, 2048, 7, 7) of ResNet50's last convolutions."""
    from torchvision.models import resnet50  # takes seconds to import

    encoder = nn.Sequential(OrderedDict([*resnet50().named_children()][:-2]))  # without pooling and classifier
    key, accepted = "avatars.resnet50_weights", "torchvision's ResNet50"
    expected = {name: t for name, t in encoder.state_dict().items() if not name.endswith("num_batches_tracked")}
    if weights == "imagenet":
        state = load_file(download_imagenet_weights("resnet50"))
    else:
        state = load_tensors(weights, expected, key=key, accepted=accepted)
        if wrong := [name for name, tensor in expected.items() if state[name].shape != tensor.shape]:
            raise UserError(f"{key}: {weights} has another shape of {wrong[0]}; accepted: {accepted}")
    encoder.load_state_dict(state, strict=False)
    return encoder
