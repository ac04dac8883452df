"""MobileNetV2 as torchvision builds it, layer by layer, without the seconds that importing torchvision takes.

Source: Sandler et al. 2018 (https://arxiv.org/abs/1801.04381), table 2 and figure 4.
"""

from torch import Tensor, nn

from facemill.networks.imagenet import IMAGENET_MEAN, IMAGENET_STD

BLOCKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion, output channels, repeats, and stride of the first of them, of each sequence of bottlenecks."""

OUT_CHANNELS = (3, 16, 24, 32, 96, 1280)
"""Channels of the images, and of the last layers at strides 2, 4, 8, 16 and 32."""


class Bottleneck(nn.Module):
    """The inverted residual: expansion, depthwise convolution, linear projection, and a shortcut where shapes allow."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        self.shortcut = stride == 1 and inputs == outputs
        hidden = inputs * expansion
        expand = [_convolution(inputs, hidden, 1)] if expansion > 1 else []
        depthwise = _convolution(hidden, hidden, 3, stride, groups=hidden)
        self.conv = nn.Sequential(
            *expand, depthwise, nn.Conv2d(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return x + y if self.shortcut else y


class MobileNetV2(nn.Module):
    """Images, float32 (B, 3, H, W), to features (B, 1280, H / 32, W / 32); no classifier.

    The names of the weights are torchvision's, and so are the initial weights of a seed.

    Attributes:
        channels: of the images, and of the last layers at strides 2 to 32.
        mean: of R, G and B in [0, 1], by which images are normalized.
        std: likewise.
    """

    channels, mean, std = OUT_CHANNELS, IMAGENET_MEAN, IMAGENET_STD

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [_convolution(3, 32, 3, stride=2)]
        channels = 32
        for expansion, outputs, repeats, first_stride in BLOCKS:
            for stride in (first_stride, *[1] * (repeats - 1)):
                layers.append(Bottleneck(channels, outputs, stride, expansion))
                channels = outputs
        self.features = nn.Sequential(*layers, _convolution(channels, OUT_CHANNELS[-1], 1))
        classifier = nn.Linear(OUT_CHANNELS[-1], 1000)  # torchvision's, for the random numbers that it takes
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
        nn.init.normal_(classifier.weight)

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.features(x)
        return features


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU6."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU6(inplace=True))
