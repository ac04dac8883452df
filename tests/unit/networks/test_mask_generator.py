"""The generator of masks: shares of classes, and masks as its discriminator sees them."""

import torch

from facemill.networks.mask_generator import MaskGenerator, soft_masks
from facemill.networks.style_discriminator import StyleDiscriminator
from facemill.networks.stylegan2 import StyleGenerator

ARGUMENTS = {"height": 32, "ratio": 2, "channels": [8] * 3, "z_dim": 8, "w_dim": 8, "mapping": 1, "colors": 5}


def test_shares_of_classes_are_the_softmax_of_the_styles_logits():
    torch.manual_seed(0)
    generator = MaskGenerator(**ARGUMENTS)
    logits = StyleGenerator(**ARGUMENTS)
    logits.load_state_dict(generator.state_dict())
    z = torch.randn(3, 8)
    shares = generator(z)
    assert shares.shape == (3, 5, 32, 16)
    torch.testing.assert_close(shares, logits(z).softmax(1))
    assert StyleDiscriminator(channels=[8] * 3, ratio=2, colors=5)(shares).logits.shape == (3,)


def test_shares_are_float32_in_a_trainings_autocast():
    generator = MaskGenerator(**ARGUMENTS)
    with torch.autocast("cpu", torch.bfloat16):
        shares = generator(torch.randn(2, 8))
    assert shares.dtype == torch.float32
    torch.testing.assert_close(shares.sum(1), torch.ones(2, 32, 16))


def test_soft_masks_are_averages_over_three_pixels():
    mask = torch.zeros((1, 6, 6), dtype=torch.uint8)
    mask[:, :, 3:] = 2
    soft = soft_masks(mask, 4)
    torch.testing.assert_close(soft[0, 2, 3], torch.tensor([0, 0, 1 / 3, 2 / 3, 1, 1]))
    torch.testing.assert_close(soft.sum(1), torch.ones(1, 6, 6)), "also at the edges"
    assert not soft[:, [1, 3]].any()
