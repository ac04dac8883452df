"""The perceptual loss with weights of VGG16's shapes, made here."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from facemill.errors import BadInput
from facemill.synthesize.perceptual import PLAN, PerceptualLoss


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    state, place, channels = {}, 0, 3
    for step in PLAN:
        if step == "pool":
            place += 1
            continue
        layer = nn.Conv2d(channels, step, 3)
        state |= {
            f"features.{place}.weight": layer.weight.data.half(),
            f"features.{place}.bias": layer.bias.data.half(),
        }
        place, channels = place + 2, step
    path = tmp_path_factory.mktemp("vgg") / "vgg16.safetensors"
    save_file(state | {"lin0.weight": torch.zeros(1)}, path)
    return path


def test_distance_and_gradient(weights):
    loss = PerceptualLoss(weights)
    image, target = torch.rand(1, 3, 32, 32).requires_grad_(), torch.rand(1, 3, 32, 32).requires_grad_()
    assert loss(target, target) == 0
    distance = loss(image, target)
    distance.backward()
    assert distance > 0
    assert image.grad.abs().sum() > 0 and target.grad is None


def test_other_weights_are_refused(tmp_path):
    save_file({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "cut.safetensors")
    with pytest.raises(BadInput, match="gaugan.vgg_weights: .*cut.safetensors lacks features.0.bias"):
        PerceptualLoss(tmp_path / "cut.safetensors")
