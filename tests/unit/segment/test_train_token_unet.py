"""v5: tokens join a finished v3, and what it learns from them."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from helpers.training import sigterm_in_step
from safetensors.torch import load_file, save_file

from facemill.config.fields import TrainingConfig
from facemill.config.segment import TokenUnetConfig, UnetTrainConfig
from facemill.data.classes import IGNORE, SEVEN
from facemill.networks.store import load_model, save_model
from facemill.networks.unet import WIDTHS, Unet
from facemill.segment.cached_rows import CachedRows, mirrored, warped
from facemill.segment.train_token_unet import build_token_learner, frozen_tokens, train_token_unet
from facemill.training.optimization import make_accelerator

VIT = "vit_tiny_patch16_224"
TRAINING = TrainingConfig(images=24, batch=4, learning_rate=1e-3)


@pytest.fixture
def built(request) -> dict:
    """How v3 is built."""
    return {"decoder": "upsample", "downscale": 1} | getattr(request, "param", {})


@pytest.fixture
def v3(tmp_path, built) -> Path:
    """A saved v3 with random weights."""
    torch.manual_seed(0)
    arguments = {"classes": 7, "size": 64, "decoder_channels": WIDTHS["tiny"]} | built
    save_model(tmp_path / "v3.safetensors", Unet(**arguments), arguments, {}, SEVEN)
    return tmp_path / "v3.safetensors"


@pytest.fixture
def arguments(tmp_path, monkeypatch, pairs, v3, built) -> dict:
    """The arguments of a training but model and curves; the ids of `pairs` end with the number of a copy."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(1)
    vit = timm.create_model(VIT, num_classes=0).state_dict()
    save_file({name: tensor.contiguous() for name, tensor in vit.items()}, tmp_path / "vit.safetensors")
    return {
        "settings": TokenUnetConfig(vit=VIT, weights=tmp_path / "vit.safetensors", copies=6, training=TRAINING),
        "unet_settings": UnetTrainConfig(encoder_weights=None, width="tiny", patience=10, training=TRAINING, **built),
        "initial": v3,
        "size": 64,
        "seed": 1,
        "train": [pairs("t", range(8)), pairs("v", range(2))],
    }


@pytest.mark.parametrize("built", [{}, {"decoder": "transposed"}, {"downscale": 2}], indirect=True)
def test_v5_begins_with_the_logits_of_v3(arguments):
    v3 = load_model(Unet, arguments["initial"])
    settings, unet_settings = arguments["settings"], arguments["unet_settings"]
    learner, _ = build_token_learner(make_accelerator(), settings, unet_settings, v3, 64)
    images = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(learner.ema.eval()(images), v3(images))


def test_the_training_resumes_to_the_same_bytes_and_uses_the_tokens(tmp_path, arguments):
    products = [{"model": tmp_path / n / "model.safetensors", "curves": tmp_path / f"{n}.csv"} for n in ("all", "cut")]
    train_token_unet(**arguments, **products[0])
    with sigterm_in_step(3):
        train_token_unet(**arguments, **products[1])
    [tokens] = Path("work").rglob("tokens.npy")
    assert len(np.load(tokens)) == 6 + 2  # of the copies 0 to 5 in both shards
    train_token_unet(**arguments, **products[1])
    assert not [*Path("work").rglob("tokens.npy")]
    for product in ("model", "curves"):
        assert products[0][product].read_bytes() == products[1][product].read_bytes()
    v5 = load_model(Unet, products[0]["model"])
    images = torch.rand(1, 3, 64, 64)
    grid = v5.tokens.grid(images)
    torch.testing.assert_close(v5(images), v5(images, grid))
    assert (v5(images, -grid) - v5(images)).abs().max() > 1e-4
    begun = load_model(Unet, arguments["initial"])
    assert not torch.equal(v5.head.weight, begun.head.weight)


def test_blocks_are_tuned_where_the_config_says_so(tmp_path, arguments):
    arguments["settings"] = arguments["settings"].model_copy(update={"tuned_blocks": 1})
    products = {"model": tmp_path / "tuned/model.safetensors", "curves": tmp_path / "tuned.csv"}
    train_token_unet(**arguments, **products)
    vit, published = load_model(Unet, products["model"]).tokens.vit, timm.create_model(VIT, num_classes=0)
    published.load_state_dict(load_file(arguments["settings"].weights))
    assert torch.equal(vit.blocks[10].mlp.fc1.weight, published.blocks[10].mlp.fc1.weight)
    assert not torch.equal(vit.blocks[11].mlp.fc1.weight, published.blocks[11].mlp.fc1.weight)


def test_tokens_are_those_of_the_copies(tmp_path, arguments):
    v3 = load_model(Unet, arguments["initial"])
    learner, _ = build_token_learner(make_accelerator(), arguments["settings"], arguments["unet_settings"], v3, 64)
    rows = CachedRows(arguments["train"][:1], keep=lambda row_id: int(row_id) < 6)
    assert (len(rows), len(rows[0])) == (6, 2)
    rows.compute(tmp_path / "tokens.npy", lambda images: frozen_tokens(learner.ema, images))
    pixels, mask, grid = rows[5]
    assert (pixels.shape, mask.shape, grid.dtype) == ((3, 64, 64), (64, 64), torch.float16)
    with torch.no_grad():
        known = learner.ema.tokens.grid(pixels[None].float() / 255)[0]
    assert (grid.float() - known).abs().mean() < 0.02 * known.abs().mean()
    assert np.load(tmp_path / "tokens.npy", mmap_mode="r").shape == (6, 3 * 192, 8, 8)


def test_image_mask_and_tokens_are_mirrored_together():
    torch.manual_seed(0)
    columns = torch.arange(8).expand(16, 8, 8)
    image, mask, grid = mirrored([columns[:, None].float(), columns, columns[:, None].half()])
    assert torch.equal(image[:, 0].long(), mask) and torch.equal(grid[:, 0].long(), mask)
    assert 4 < (mask[:, 0, 0] == 7).sum() < 12


def test_image_mask_and_tokens_are_turned_and_scaled_together():
    torch.manual_seed(0)
    ys, xs = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    disc = ((ys - 20) ** 2 + (xs - 36) ** 2 < 100).byte().expand(8, 64, 64).contiguous()
    pixels = 200 * disc[:, None].repeat(1, 3, 1, 1)
    grid = torch.nn.functional.avg_pool2d(disc[:, None].float(), 8).half()
    image, mask, tokens = warped([pixels, disc, grid], rotation=30, scale=0.2)
    assert (image.dtype, mask.dtype, tokens.shape) == (torch.uint8, torch.uint8, grid.shape)
    assert ((image[:, 0] > 100) == (mask == 1)).float().mean() > 0.99
    coarse = torch.nn.functional.avg_pool2d((mask == 1)[:, None].float(), 8)
    assert (coarse - tokens).abs().mean() < 0.02
    assert {0, 1, IGNORE} == set(mask.unique().tolist())
    areas = (mask == 1).sum((1, 2)) / disc[0].sum()
    assert areas.min() < 0.9 and areas.max() > 1.1 and areas.min() > 0.6 and areas.max() < 1.5
