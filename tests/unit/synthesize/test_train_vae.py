"""The weights of pixels in the VAE's reconstruction loss."""

import pytest
import torch

from facemill.data.classes import IGNORE, SEVEN, Class, ClassTable
from facemill.synthesize.train_vae import BALANCE, region_weights

THREE = ClassTable(
    (
        Class(name="around", color="#000000", role="background"),
        Class(name="hair", color="#ff0000", role="hair"),
        Class(name="cloth", color="#00ff00", role="clothes"),
    )
)


@pytest.mark.parametrize("classes", [SEVEN, THREE])
def test_half_of_the_weight_is_equal_for_all_regions(classes):
    masks = torch.zeros((2, 64, 64), dtype=torch.uint8)
    masks[0, :32] = classes.role_ids("hair")[0]
    masks[0, -4:] = classes.role_ids("clothes")[0]
    weights = region_weights(masks, 32, classes)
    assert weights.shape == (2, 1, 32, 32)
    assert torch.allclose(weights.mean((1, 2, 3)), torch.ones(2))
    clothes = 2 / 32  # of the image
    assert torch.isclose(weights[0, 0, -2:].sum() / 32**2, torch.tensor(BALANCE / 3 + (1 - BALANCE) * clothes))
    assert torch.allclose(weights[1], torch.ones(1, 32, 32))  # one region alone: all pixels count alike


def test_a_portrait_without_any_region_still_counts():
    weights = region_weights(torch.full((1, 64, 64), IGNORE, dtype=torch.uint8), 32, SEVEN)
    assert torch.allclose(weights, torch.full((1, 1, 32, 32), 1 - BALANCE))
