"""VGG16's files, and LPIPS with random weights of VGG16's shapes."""

import pytest
import torch
from helpers.vgg import write_vgg
from safetensors.torch import load_file, save_file

from facemill.errors import UserError
from facemill.networks.vgg import LOSS_TAPS, Lpips, Vgg16


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_vgg(tmp_path_factory.mktemp("vgg") / "vgg16.safetensors")


def test_other_weights_are_refused(tmp_path):
    save_file({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "cut.safetensors")
    with pytest.raises(UserError, match="gaugan.vgg_weights: .*cut.safetensors lacks features.0.bias"):
        Vgg16(tmp_path / "cut.safetensors", LOSS_TAPS)


def test_files_that_are_not_safetensors_are_refused(tmp_path):
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "vgg16.pth")
    with pytest.raises(UserError, match="gaugan.vgg_weights: .*vgg16.pth is not a safetensors file"):
        Vgg16(tmp_path / "vgg16.pth", LOSS_TAPS)


def test_lpips_is_a_distance(weights):
    lpips = Lpips(weights)
    images = torch.rand(3, 3, 32, 32) * 2 - 1
    near, far = images + 0.02 * torch.randn(images.shape), images.flip(0)
    assert torch.equal(lpips(images, images), torch.zeros(3))
    assert torch.allclose(lpips(images, far), lpips(far, images))
    assert (lpips(images, near)[[0, 2]] < lpips(images, far)[[0, 2]]).all()


def test_weights_without_heads_measure_no_lpips(weights, tmp_path):
    state = {name: tensor for name, tensor in load_file(weights).items() if name.startswith("features")}
    save_file(state, tmp_path / "plain.safetensors")
    with pytest.raises(UserError, match="gaugan.vgg_weights: .*plain.safetensors lacks lpips.0.weight"):
        Lpips(tmp_path / "plain.safetensors")
