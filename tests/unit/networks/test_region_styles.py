"""Style codes by region: colors by hand, classes that are not there, and features that get their region's code."""

import torch
from torch.testing import assert_close

from facemill.networks.region_styles import CODE, RegionShift, encode_regions, of_classes


def test_a_code_is_the_mean_of_a_regions_colors():
    images = torch.zeros(1, 3, 2, 2)
    images[0, 0] = torch.tensor([[1.0, -1], [0.5, 0.5]])
    masks = torch.tensor([[[0, 0], [2, 2]]], dtype=torch.uint8)
    codes = encode_regions(images, masks, 3).view(3, CODE)
    assert_close(codes[0], torch.tensor([0.0, 0, 0]))
    assert_close(codes[2], torch.tensor([0.5, 0, 0]))
    assert codes[1].isnan().all()


def test_codes_are_float32_where_a_training_computes_in_bfloat16():
    images, masks = torch.rand(2, 3, 64, 64) * 2 - 1, torch.randint(0, 7, (2, 64, 64))
    expected = encode_regions(images, masks, 7)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(encode_regions(images, masks, 7), expected)


def test_each_pixel_is_shifted_by_its_own_region_and_style():
    torch.manual_seed(0)
    shift, x, codes = RegionShift(5), torch.randn(4, 5, 8, 8), torch.randn(4, 3 * CODE)
    masks = torch.randint(0, 3, (2, 8, 8))
    masks[0, 0] = 255
    shifted = shift(x, of_classes(masks, 3), codes)
    for style in range(4):  # two styles of each mask
        for row, column in ((0, 3), (4, 4), (7, 1)):
            class_id = int(masks[style // 2, row, column])
            expected = x[style, :, row, column]
            if class_id < 3:  # unlabelled pixels have no code
                expected = expected + shift.linear(codes[style].view(3, CODE)[class_id])
            assert_close(shifted[style, :, row, column], expected)
