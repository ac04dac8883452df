"""Pretrained weights of the U-Nets' encoder."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from facemill.errors import Damaged, UserError
from facemill.files import sha256
from facemill.networks.imagenet import load_encoder
from facemill.networks.unet import Unet


@pytest.fixture
def encoder() -> torch.nn.Module:
    return Unet(classes=7, size=64, decoder="upsample", decoder_channels=[16, 16, 8, 8, 8]).encoder


def test_encoder_weights_are_loaded_from_a_file(tmp_path, encoder):
    state = {name: torch.rand_like(v) for name, v in encoder.state_dict().items() if v.is_floating_point()}
    save_file(state, tmp_path / "encoder.safetensors")  # without num_batches_tracked, as torchvision's
    load_encoder(encoder, tmp_path / "encoder.safetensors")
    assert all(torch.equal(encoder.state_dict()[name], tensor) for name, tensor in state.items())


def test_encoder_weights_that_do_not_fit_are_refused(tmp_path, encoder):
    save_file({"features.0.0.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match="unet.encoder_weights: .*other.safetensors does not fit MobileNetV2"):
        load_encoder(encoder, tmp_path / "other.safetensors")


def test_encoder_weights_that_are_not_safetensors_are_refused(tmp_path, encoder):
    torch.save(encoder.state_dict(), tmp_path / "encoder.pth")
    with pytest.raises(UserError, match="unet.encoder_weights: .*encoder.pth is not a safetensors file"):
        load_encoder(encoder, tmp_path / "encoder.pth")


def test_downloaded_weights_are_checked_against_their_name(tmp_path, monkeypatch, encoder):
    file = tmp_path / "encoder.safetensors"
    save_file({name: torch.ones_like(tensor) for name, tensor in encoder.state_dict().items()}, file)
    blob = tmp_path / sha256(file)
    file.rename(blob)
    file.symlink_to(blob)  # as Hugging Face stores it
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_, **__: str(file))
    load_encoder(encoder, "imagenet")
    assert all(torch.equal(encoder.state_dict()[name], tensor) for name, tensor in load_file(blob).items())
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.write_bytes(content)
    with pytest.raises(Damaged, match="not the one it was downloaded under"):
        load_encoder(encoder, "imagenet")
