"""The networks that exchange faces: sizes, ranges, and what either decoder draws."""

import pytest
import torch

from facemill.networks.face_swap import PRESETS, FaceSwap
from facemill.networks.store import load_model, save_model


@pytest.mark.parametrize(("preset", "weights"), [("light", 789_864), ("medium", 4_787_400), ("original", 82_065_672)])
def test_presets_have_the_sizes_that_the_guide_names(preset, weights):
    with torch.device("meta"):
        network = FaceSwap(preset=preset, size=64)
    assert sum(weight.numel() for weight in network.parameters()) == weights


@pytest.mark.parametrize(("preset", "size"), [(preset, 32) for preset in PRESETS] + [("tiny", 128), ("light", 64)])
def test_colors_and_masks_have_the_size_and_range_of_the_images(preset, size):
    with torch.device("meta"):
        assert FaceSwap(preset=preset, size=size)(torch.rand(2, 3, size, size), "a").shape == (2, 4, size, size)
    if preset == "original":
        return
    torch.manual_seed(0)
    with torch.no_grad():
        drawn = FaceSwap(preset=preset, size=size)(torch.rand(2, 3, size, size), "b")
    assert drawn.shape == (2, 4, size, size) and drawn.min() > 0 and drawn.max() < 1


def test_one_encoder_sees_both_and_each_decoder_draws_its_own():
    torch.manual_seed(0)
    network, faces = FaceSwap(preset="tiny", size=32), torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        before = {side: network(faces, side) for side in ("a", "b")}
        assert not torch.equal(before["a"], before["b"])
        network.decoders["b"].load_state_dict(network.decoders["a"].state_dict())
        assert torch.equal(network(faces, "b"), before["a"])
        assert torch.equal(network(faces, "a"), before["a"])
        assert torch.equal(network.decode(network.encoder(faces), "a"), before["a"])


def test_a_face_is_drawn_from_itself_alone():
    """Nothing of the batch, such as its mean, goes into what is drawn: films are converted in any pieces."""
    torch.manual_seed(0)
    network, faces = FaceSwap(preset="light", size=32), torch.rand(5, 3, 32, 32)
    with torch.no_grad():
        for mode in (network.train(), network.eval()):
            assert torch.allclose(mode(faces, "b")[3], mode(faces[3:4], "b")[0], atol=1e-5)


def test_colors_are_float32_under_autocast_with_more_shades_than_bfloat16_has():
    torch.manual_seed(0)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        drawn = FaceSwap(preset="tiny", size=32)(torch.rand(1, 3, 32, 32), "a")
    assert drawn.dtype == torch.float32 and not torch.equal(drawn, drawn.bfloat16().float())


def test_a_saved_network_comes_back(tmp_path):
    torch.manual_seed(0)
    network, faces = FaceSwap(preset="tiny", size=32).eval(), torch.rand(1, 3, 32, 32)
    save_model(tmp_path / "model.safetensors", network, {"preset": "tiny", "size": 32}, {})
    loaded = load_model(FaceSwap, tmp_path)
    assert (loaded.preset, loaded.size) == ("tiny", 32)
    with torch.no_grad():
        assert torch.allclose(loaded(faces, "b"), network(faces, "b"), atol=1e-6)
