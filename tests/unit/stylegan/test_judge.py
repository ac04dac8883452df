"""The judge: portraits of any size, colors under the masks that it draws, features without rounding."""

import numpy as np
import pytest
import torch

from facemill.config.latent import TagsConfig
from facemill.data.classes import SEVEN
from facemill.networks.device import device
from facemill.networks.store import save_model
from facemill.networks.unet import Unet
from facemill.networks.vae import Vae
from facemill.stylegan.judge import Judge

TAGS = TagsConfig(
    sources=["tags", "color"],
    hair_colors={"black_hair": ["#202020"], "red_hair": ["#b0302c"]},
    skin_colors={"tan": ["#d8a884"]},
    eye_colors={},
)
RED, BLACK = (176, 48, 44), (32, 32, 32)
PORTRAITS = np.stack([np.full((32, 32, 3), color, np.uint8) for color in (RED, BLACK, RED)])


@pytest.fixture
def judge(tmp_path):
    """One that takes every pixel for hair."""
    torch.manual_seed(0)
    arguments = {"size": 64, "decoder": "upsample", "decoder_channels": (16, 16, 8, 8, 8), "classes": len(SEVEN)}
    unet = Unet(**arguments)
    with torch.no_grad():
        biases = [p for name, p in unet.named_parameters() if name.endswith("bias") and p.shape == (len(SEVEN),)]
        biases[-1][SEVEN.names.index("hair")] = 1e4
    path = tmp_path / "unet.safetensors"
    save_model(path, unet, arguments, {}, SEVEN)
    return Judge((64, 64), path, path, None, None, TAGS)


def test_colors_are_named_under_the_masks_that_it_draws(judge):
    looks = judge.look(PORTRAITS)
    assert judge.groups == {"hair_color": ["black_hair", "red_hair"], "skin_color": ["tan"]}
    assert looks.names.tolist() == [[1, -1], [0, -1], [1, -1]], "there is no skin"
    areas = looks.parts.reshape(3, 3, -1)[:, 0]
    assert areas.tolist() == [[0, 0, 0, 1, 0]] * 3
    assert looks.confidence == pytest.approx(1)


def test_portraits_in_batches_look_as_they_do_at_once(judge):
    random = np.random.default_rng(0).integers(0, 256, (70, 32, 32, 3), np.uint8)
    all_looks, first = judge.look_at_all(iter(random)), judge.look(random[:64])
    assert len(all_looks) == 70
    assert np.array_equal(all_looks.names[:64], first.names)
    np.testing.assert_allclose(all_looks.features[:64], first.features)
    assert np.array_equal(judge.compare_all(iter(random)).hashes, all_looks.hashes)


def test_small_and_enlarged_portraits_look_alike(judge):
    small = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    np.testing.assert_array_equal(judge.features(small), judge.features(judge.enlarged(small)))
    assert judge.enlarged(small).shape == (2, 64, 64, 3)


@pytest.mark.parametrize("kind", ["unet", "vae"])
def test_exact_features_are_the_features_of_pixels_without_rounding(judge, tmp_path, kind):
    if kind == "vae":
        torch.manual_seed(0)
        arguments = {"size": 32, "z_dim": 4, "width": 4}
        save_model(tmp_path / "vae.safetensors", Vae(**arguments), arguments, {})
        judge = Judge((64, 64), None, None, tmp_path / "vae.safetensors", None, TAGS)
        assert judge.classes is None and judge.groups == {}
    images = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.inference_mode():
        exact = judge.exact_features(pixels.to(device())).cpu()
    assert exact.dtype == torch.float32 and exact.std() > 0
    np.testing.assert_allclose(exact, judge.features(images), atol=0.05 * float(exact.abs().max()))
