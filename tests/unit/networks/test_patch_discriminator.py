"""The features of discriminators at two scales."""

import pytest
import torch

from facemill.networks.patch_discriminator import Discriminator
from facemill.networks.spade import one_hot


@pytest.mark.parametrize("classes", [7, 15])
def test_features_of_each_scale(classes):
    discriminator = Discriminator(ndf=4, classes=classes)
    masks = one_hot(torch.randint(0, classes, (2, 64, 64)), classes)
    features = discriminator(torch.rand(2, 3, 64, 64), masks)
    assert [len(scale) for scale in features] == [5, 5]
    assert features[0][0].shape[2] == 2 * features[1][0].shape[2]
    assert all(scale[-1].shape[:2] == (2, 1) for scale in features)
