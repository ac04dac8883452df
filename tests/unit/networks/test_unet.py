"""The U-Nets' shapes, what tells the versions apart, their loss, and pretrained encoders."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from facemill.data.classes import IGNORE
from facemill.errors import Damaged, UserError
from facemill.files import sha256
from facemill.networks import unet
from facemill.networks.unet import Unet, cross_entropy_dice, load_encoder

CHANNELS = [16, 16, 8, 8, 8]


@pytest.mark.parametrize(("decoder", "downscale"), [("transposed", 2), ("transposed", 1), ("upsample", 1)])
def test_logits_have_the_images_size(decoder, downscale):
    network = Unet(size=64, decoder=decoder, decoder_channels=CHANNELS, downscale=downscale).eval()
    logits = network(torch.rand(2, 3, 64, 64))
    assert logits.shape == (2, 7, 64, 64)
    blocks = logits.detach().unfold(2, downscale, downscale).unfold(3, downscale, downscale)
    assert torch.equal(blocks.amax((-1, -2)), blocks.amin((-1, -2)))


def test_dice_and_entropy_fall_with_the_right_answer():
    target = torch.randint(0, 7, (2, 8, 8))
    right = torch.nn.functional.one_hot(target, 7).permute(0, 3, 1, 2).float()
    assert cross_entropy_dice(20 * right, target, IGNORE) < 1e-3
    assert cross_entropy_dice(-20 * right, target, IGNORE) > 2


def test_ignored_pixels_change_nothing():
    torch.manual_seed(0)
    logits, target = torch.randn(1, 7, 8, 8), torch.randint(0, 7, (1, 8, 8))
    target[0, :2] = IGNORE
    other = logits.clone()
    other[0, :, :2] = 50 * torch.randn(7, 2, 8)
    assert torch.allclose(cross_entropy_dice(logits, target, IGNORE), cross_entropy_dice(other, target, IGNORE))


def test_encoder_weights_are_loaded_from_a_file(tmp_path):
    source, target = (Unet(size=64, decoder="upsample", decoder_channels=CHANNELS) for _ in range(2))
    state = {k: v.contiguous() for k, v in source.encoder.state_dict().items() if not k.endswith("num_batches_tracked")}
    save_file(state, tmp_path / "encoder.safetensors")
    load_encoder(target, tmp_path / "encoder.safetensors")
    assert all(torch.equal(target.encoder.state_dict()[name], tensor) for name, tensor in state.items())


def test_encoder_weights_that_do_not_fit_are_refused(tmp_path):
    save_file({"features.0.0.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match="unet.encoder_weights: .*other.safetensors does not fit MobileNetV2"):
        load_encoder(Unet(size=64, decoder="upsample", decoder_channels=CHANNELS), tmp_path / "other.safetensors")


def test_downloaded_weights_are_checked_against_their_name(tmp_path, monkeypatch):
    file = tmp_path / "encoder.safetensors"
    save_file(Unet(size=64, decoder="upsample", decoder_channels=CHANNELS).encoder.state_dict(), file)
    kept = tmp_path / sha256(file)
    file.rename(kept)
    file.symlink_to(kept)  # as Hugging Face keeps it
    monkeypatch.setattr(unet, "hf_hub_download", lambda *_, **__: str(file))
    target = Unet(size=64, decoder="upsample", decoder_channels=CHANNELS)
    load_encoder(target, "imagenet")
    assert all(torch.equal(target.encoder.state_dict()[name], value) for name, value in load_file(kept).items())
    content = bytearray(kept.read_bytes())
    content[-1] ^= 1
    kept.write_bytes(content)
    with pytest.raises(Damaged, match="not the one it was downloaded under"):
        load_encoder(target, "imagenet")
