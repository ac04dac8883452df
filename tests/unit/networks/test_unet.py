"""The U-Nets' shapes, and what tells the versions apart."""

import pytest
import torch

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


def test_the_encoder_trains_in_float32_on_a_cpu():
    """In bfloat16 the gradient of a small U-Net has a cosine of .5 to .8 to that in float32."""
    network = Unet(classes=3, size=64, decoder="upsample", decoder_channels=(16, 16, 8, 8, 8))
    with torch.autocast("cpu", torch.bfloat16):
        trained = network.encode(torch.rand(2, 3, 64, 64))
        evaluated = network.eval().encode(torch.rand(2, 3, 64, 64))
    assert {features.dtype for features in trained} == {torch.float32}
    assert evaluated[-1].dtype == torch.bfloat16
