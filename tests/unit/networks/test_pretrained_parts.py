"""Networks pretrained on ImageNet, without their head."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from segmentation_models_pytorch.encoders import get_encoder

from facemill.errors import UserError
from facemill.networks import imagenet
from facemill.networks.pretrained_parts import SIZE, PretrainedParts


@pytest.fixture(scope="module")
def resnet50(tmp_path_factory) -> Path:
    """Random weights under torchvision's keys, with the head and without `num_batches_tracked`."""
    torch.manual_seed(0)
    state = {n: t.half() for n, t in get_encoder("resnet50", weights=None).state_dict().items() if t.dim()}
    path = tmp_path_factory.mktemp("weights") / "resnet50.safetensors"
    save_file(state | {"fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}, path)
    return path


def test_resnet50_is_loaded_from_a_file_with_torchvisions_keys(resnet50):
    network = PretrainedParts("resnet50", resnet50)
    pictures = torch.rand(1, 3, SIZE, SIZE, device=network.mean.device)
    features = network(pictures)
    last = network.encoder((pictures - network.mean) / network.std)
    assert last.shape[2:] == (7, 7)
    assert features.shape == (1, 2048)
    assert torch.allclose(features[0, 5], last[0, 5].mean())
    assert not network.training


def test_resnet50_is_downloaded_as_the_encoders_of_the_unets_are(resnet50, monkeypatch):
    asked = []
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda repo, *_, **__: asked.append(repo) or str(resnet50))
    monkeypatch.setattr(imagenet, "sha256", lambda path: path.name)  # the hub names a file by its hash
    network = PretrainedParts("resnet50", "imagenet")
    assert asked == ["smp-hub/resnet50.imagenet"]
    stored = PretrainedParts("resnet50", resnet50).encoder.state_dict()
    assert all(torch.equal(tensor, stored[name]) for name, tensor in network.encoder.state_dict().items())


def test_mobilenet_v2_is_the_encoder_of_the_unets(tmp_path):
    save_file(get_encoder("mobilenet_v2", weights=None).state_dict(), tmp_path / "weights.safetensors")
    network = PretrainedParts("mobilenet_v2", tmp_path / "weights.safetensors")
    assert network(torch.rand(2, 3, SIZE, SIZE, device=network.mean.device)).shape == (2, 1280)


def test_weights_that_do_not_fit_are_refused(tmp_path, resnet50):
    other = tmp_path / "other.safetensors"
    save_file({"conv1.weight": torch.zeros(1)}, other)
    with pytest.raises(UserError, match="^avatars.resnet50_weights: .*other.safetensors lacks bn1.*; accepted: torchv"):
        PretrainedParts("resnet50", other)
    state = get_encoder("resnet50", weights=None).state_dict()
    save_file(state | {"conv1.weight": torch.zeros(1)}, other)
    with pytest.raises(UserError, match="^avatars.resnet50_weights: .* has another shape of conv1.weight; accepted: "):
        PretrainedParts("resnet50", other)
    other.write_bytes(b"no safetensors")
    with pytest.raises(UserError, match="is not a safetensors file"):
        PretrainedParts("resnet50", other)
