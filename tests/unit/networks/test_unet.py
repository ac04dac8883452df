"""The U-Nets' shapes, and what tells the versions apart."""

import pytest
import torch
from torch import nn

from facemill.networks.mobilenet import StridedDepthwise
from facemill.networks.unet import Unet


@pytest.mark.parametrize("classes", [3, 7])
@pytest.mark.parametrize(("decoder", "downscale"), [("transposed", 2), ("transposed", 1), ("upsample", 1)])
def test_logits_have_the_images_size(decoder, downscale, classes):
    channels = [16, 16, 8, 8, 8]
    network = Unet(classes=classes, size=64, decoder=decoder, decoder_channels=channels, downscale=downscale).eval()
    logits = network(torch.rand(2, 3, 64, 64))
    assert logits.shape == (2, classes, 64, 64)
    blocks = logits.detach().unfold(2, downscale, downscale).unfold(3, downscale, downscale)
    assert torch.equal(blocks.amax((-1, -2)), blocks.amin((-1, -2)))


def test_depthwise_convolutions_of_stride_2_train_in_float32_and_return_their_inputs_type():
    network = Unet(classes=3, size=64, decoder="upsample", decoder_channels=(16, 16, 8, 8, 8))
    strided = [m for m in network.modules() if isinstance(m, StridedDepthwise)]
    assert len(strided) == 4 and all(m.stride == (2, 2) and m.groups == m.in_channels for m in strided)
    x = torch.randn(2, strided[0].in_channels, 8, 8).bfloat16()
    exact = nn.Conv2d.forward(strided[0], x.float())
    with torch.autocast("cpu", torch.bfloat16):
        trained = strided[0](x)
        evaluated = strided[0].eval()(x)
    assert trained.dtype == evaluated.dtype == torch.bfloat16
    assert torch.equal(trained, exact.bfloat16())
