"""The perceptual loss in the features of VGG16 and of a U-Net's encoder, with random weights."""

import pytest
import torch
from helpers.scenes import save_unet
from helpers.vgg import write_vgg
from torch import nn

from facemill.errors import UserError
from facemill.networks.perceptual import PerceptualLoss, unet_loss, vgg_loss


@pytest.fixture(scope="module", params=["vgg", "unet"])
def loss(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    if request.param == "vgg":
        return vgg_loss(write_vgg(folder / "vgg16.safetensors"))
    return unet_loss(save_unet(folder / "unet.safetensors"))


class Channels(nn.Module):
    """The channels of images, one by one, each times a factor."""

    def __init__(self, *factors: float) -> None:
        super().__init__()
        self.factors = factors

    def forward(self, images):
        return [factor * images[:, i : i + 1] for i, factor in enumerate(self.factors)]


def test_distance_and_gradient(loss):
    image, target = (torch.rand(1, 3, 64, 64).mul(2).sub(1).requires_grad_() for _ in range(2))
    assert loss(target, target) == 0
    distance = loss(image, target)
    distance.backward()
    assert distance > 0
    assert image.grad.abs().sum() > 0 and target.grad is None
    assert not any(weight.requires_grad for weight in loss.parameters())


def test_l1_of_each_feature_is_weighted():
    images, target = torch.zeros(2, 2, 4, 4), torch.ones(2, 2, 4, 4)
    assert PerceptualLoss(Channels(1, 3), [0.5, 2])(images, target) == 0.5 + 2 * 3


def test_a_relative_loss_does_not_depend_on_the_scale_of_features_or_other_images():
    images, target = torch.zeros(2, 2, 4, 4), torch.ones(2, 2, 4, 4)
    images[1], target[1] = 30, 20
    shares = [1, 0.5]  # of each image
    relative = PerceptualLoss(Channels(1, 300), [0.5, 2], relative=True)
    assert relative(images, target).item() == pytest.approx(2.5 * sum(shares) / 2)
    parts = [relative(images[i : i + 1], target[i : i + 1]).item() for i in range(2)]
    assert parts == pytest.approx([2.5 * share for share in shares])


def test_a_unet_compares_in_five_levels_of_its_evaluation_mode(tmp_path):
    loss = unet_loss(save_unet(tmp_path / "unet.safetensors")).network
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    with torch.autocast("cpu", torch.bfloat16):
        features = loss(images)
    assert {f.dtype for f in features} == {torch.float32}
    assert [f.shape[2] for f in features] == [32, 16, 8, 4, 2]
    assert torch.equal(features[-1], loss.unet.eval().encode((images + 1) / 2)[-1])


def test_another_model_is_refused(tmp_path):
    with pytest.raises(UserError, match="no such model file"):
        unet_loss(tmp_path / "unet.safetensors")
