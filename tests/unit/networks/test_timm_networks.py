"""Encoders and tokens of timm's networks, and their weights."""

import pytest
import timm
import torch
from safetensors.torch import save_file

from facemill.errors import UserError
from facemill.networks.timm_networks import TOKEN_CHANNELS, TimmEncoder, VitTokens, load_timm_weights
from facemill.networks.unet import Unet

VIT = "vit_tiny_patch16_224"
BUILT = {"classes": 3, "size": 64, "decoder_channels": (16, 16, 8, 8, 8)}


@pytest.mark.parametrize("decoder", ["transposed", "upsample"])
def test_any_encoder_of_these_strides_is_a_unets(decoder):
    torch.manual_seed(0)
    unet = Unet(**BUILT, decoder=decoder, encoder="mobilenetv3_small_050").eval()
    images = torch.rand(2, 3, 64, 64)
    features = unet.encode(images)
    assert [part.shape[-1] for part in features] == [64, 32, 16, 8, 4, 2]
    assert unet(images).shape == (2, 3, 64, 64)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "convnext_atto",
            "unet.encoder: found 'convnext_atto', with features at strides 4, 8, .*; accepted: .* 2, 4",
        ),
        ("resnet17", "unet.encoder: found 'resnet17'; accepted: mobilenet_v2, or a name of timm's"),
    ],
)
def test_other_encoders_are_refused(name, message):
    with pytest.raises(UserError, match=message):
        TimmEncoder(name)


def test_images_are_normalized_as_the_encoder_was_trained():
    unet = Unet(**BUILT, decoder="upsample", encoder="tf_efficientnet_lite0")
    assert unet.mean.flatten().tolist() == unet.std.flatten().tolist() == [0.5] * 3


def test_tokens_lie_on_the_grid_of_stride_8():
    """A bright square in the upper left changes the first layers' tokens there most."""
    torch.manual_seed(0)
    tokens = VitTokens(VIT, size=64).eval()
    assert tokens(torch.rand(1, 3, 64, 64)).shape == (1, TOKEN_CHANNELS, 8, 8)
    dark, lit = torch.zeros(2, 1, 3, 64, 64)
    lit[..., :16, :24] = 1
    change = (tokens.grid(lit) - tokens.grid(dark))[0].norm(dim=0)
    assert change[:2, :3].min() > change[3:, 4:].max()


def test_blocks_but_the_tuned_ones_are_frozen():
    tokens = VitTokens(VIT, size=64)
    assert not any(tensor.requires_grad for tensor in tokens.vit.parameters())
    tokens.tune(2)
    trained = {name.split(".")[1] for name, tensor in tokens.vit.named_parameters() if tensor.requires_grad}
    assert trained == {"10", "11"}
    with pytest.raises(UserError, match="token_unet.tuned_blocks: found 13; accepted: 0 to 12, its blocks"):
        tokens.tune(13)
    with pytest.raises(UserError, match="token_unet.vit: found 'resnet18'; accepted: a plain transformer"):
        VitTokens("resnet18", size=64)


def test_weights_are_loaded_and_positions_resampled(tmp_path):
    published = timm.create_model(VIT, num_classes=0)
    save_file({name: tensor.half() for name, tensor in published.state_dict().items()}, tmp_path / "vit.safetensors")
    tokens = VitTokens(VIT, size=64)
    load_timm_weights(tokens.vit, VIT, tmp_path / "vit.safetensors", key="token_unet.weights")
    assert torch.equal(tokens.vit.blocks[3].mlp.fc1.weight, published.blocks[3].mlp.fc1.weight.half().float())
    assert tokens.vit.pos_embed.shape[1] == 1 + 8 * 8 < published.pos_embed.shape[1]
    torch.testing.assert_close(tokens.vit.pos_embed[:, 0], published.pos_embed[:, 0], rtol=1e-3, atol=1e-4)


def test_a_network_without_published_weights_is_refused():
    tokens = VitTokens(VIT, size=64)
    with pytest.raises(UserError, match="token_unet.weights: found 'published', but timm has no weights of"):
        load_timm_weights(tokens.vit, "vit_base_patch16_gap_224", "published", key="token_unet.weights")


def test_weights_of_an_encoder_are_loaded(tmp_path):
    published = timm.create_model("mobilenetv3_small_050")
    save_file({name: tensor.contiguous() for name, tensor in published.state_dict().items()}, tmp_path / "w")
    encoder = TimmEncoder("mobilenetv3_small_050")
    load_timm_weights(encoder.network, "mobilenetv3_small_050", tmp_path / "w", key="unet.encoder_weights")
    assert torch.equal(encoder.network.conv_stem.weight, published.conv_stem.weight)
    other = TimmEncoder("mobilenetv3_small_075")
    with pytest.raises(UserError, match="unet.encoder_weights: .*w does not fit timm's mobilenetv3_small_075"):
        load_timm_weights(other.network, "mobilenetv3_small_075", tmp_path / "w", key="unet.encoder_weights")
    (tmp_path / "w").write_bytes(b"weights")
    with pytest.raises(UserError, match="unet.encoder_weights: .*w is not a safetensors file"):
        load_timm_weights(other.network, "mobilenetv3_small_075", tmp_path / "w", key="unet.encoder_weights")
