"""The command that paints a folder of masks: by a style image, by a seed, and what it refuses."""

import numpy as np
import pytest
import torch
from PIL import Image

from facemill.data.shards import encode_mask
from facemill.errors import UserError
from facemill.networks.spade import Generator
from facemill.networks.store import save_model
from facemill.networks.vae import Vae


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    plain = {"size": 32, "z_dim": 4}
    generator, encoder = plain | {"width": 4, "hidden": 4}, plain | {"width": 4}
    save_model(tmp_path / "gaugan/model.safetensors", Generator(**generator), generator, {})
    save_model(tmp_path / "gaugan/style_encoder.safetensors", Vae(**encoder), encoder, {})
    (tmp_path / "masks/deep").mkdir(parents=True)
    for name in ("a.png", "deep/b.png"):
        mask = np.random.default_rng(0).integers(0, 7, (40, 40), np.uint8)
        (tmp_path / "masks" / name).write_bytes(encode_mask(mask))
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (50, 70, 3), np.uint8)).save(tmp_path / "style.jpg")
    return tmp_path


@pytest.fixture
def paint(script, folder):
    def painted(out, **style):
        script("generate_portraits")(model=folder / "gaugan", masks=folder / "masks", out=folder / out, **style)
        return [np.asarray(Image.open(folder / out / name)) for name in ("a.png", "deep/b.png")]

    return painted


def test_a_seed_draws_a_style_for_each_mask(paint):
    first, second = paint("seeded", seed=7)
    assert first.shape == (32, 32, 3) and not np.array_equal(first, second)
    assert np.array_equal(first, paint("again", seed=7)[0])
    assert not np.array_equal(first, paint("other", seed=8)[0])


def test_an_image_gives_one_style_to_all(folder, paint):
    first, second = paint("styled", style=folder / "style.jpg")
    assert np.array_equal(first, second)


def test_a_model_without_styles_of_images_takes_none(folder, paint):
    plan = {"size": 32, "z_dim": 0, "width": 4, "hidden": 4, "z": "none"}
    save_model(folder / "gaugan/model.safetensors", Generator(**plan), plan, {})
    first, second = paint("seeded", seed=7)
    assert np.array_equal(first, second) and first.shape == (32, 32, 3)  # the two masks are the same
    with pytest.raises(UserError, match="was trained with z: none; accepted: a model with z: encoder"):
        paint("styled", style=folder / "style.jpg")


def test_a_file_that_is_no_mask_is_named_and_the_others_are_painted(folder, paint):
    Image.new("RGB", (40, 40)).save(folder / "masks/photo.png")
    with pytest.raises(UserError, match="1 of 3 masks"):
        paint("out", seed=1)
    assert (folder / "out/a.png").exists() and not (folder / "out/photo.png").exists()


@pytest.mark.parametrize(
    ("style", "message"),
    [({"style": "style.jpg", "seed": 1}, "exclude each other"), ({"style": "none.jpg"}, "--style: .*none.jpg")],
)
def test_unusable_styles(folder, paint, style, message):
    style["style"] = folder / style["style"]
    with pytest.raises(UserError, match=message):
        paint("out", **style)
