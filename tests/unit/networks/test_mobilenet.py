"""MobileNetV2 against torchvision's."""

import torch
from torchvision.models import mobilenet_v2

from facemill.networks.mobilenet import OUT_CHANNELS, MobileNetV2
from facemill.networks.unet import LAST_OF_STRIDE


def test_weights_and_features_are_torchvisions():
    torch.manual_seed(1)
    theirs = mobilenet_v2()
    after = torch.rand(1)
    torch.manual_seed(1)
    ours = MobileNetV2()
    assert torch.equal(torch.rand(1), after)  # what is drawn next, a U-Net's decoder, is the same, too
    expected = {name: tensor for name, tensor in theirs.state_dict().items() if name.startswith("features.")}
    found = ours.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    images = torch.rand(2, 3, 64, 64)
    assert torch.equal(ours(images), theirs.features(images))  # in training, where batch norms keep statistics
    assert torch.equal(ours.eval()(images), theirs.eval().features(images))


def test_channels_of_each_stride():
    x = torch.rand(1, 3, 64, 64)
    shapes = [x.shape[1:]]
    for number, layer in enumerate(MobileNetV2().eval().features):
        x = layer(x)
        shapes += [x.shape[1:]] if number in LAST_OF_STRIDE else []
    assert [tuple(shape) for shape in shapes] == [(c, 64 >> n, 64 >> n) for n, c in enumerate(OUT_CHANNELS)]
