"""Painter: images do not depend on the batch, styles on a seed, and the table is the model's."""

import numpy as np
import pytest
import torch

from facemill.data.classes import SEVEN, Class, ClassTable
from facemill.errors import UserError
from facemill.inference.painter import Painter
from facemill.inference.segmenter import Segmenter
from facemill.networks.region_styles import CODE
from facemill.networks.spade import Generator
from facemill.networks.store import save_model
from facemill.networks.unet import Unet
from facemill.networks.vae import Vae

TWO = ClassTable(
    (Class(name="around", color="#000000", role="background"), Class(name="head", color="#ff0000", role="face"))
)


@pytest.fixture
def painter():
    torch.manual_seed(0)
    generator = Generator(size=32, z_dim=4, ngf=4, nhidden=4, classes=7)
    return Painter(generator.eval(), SEVEN, Vae(size=32, z_dim=4, width=4).eval())


def test_more_portraits_than_a_batch(painter):
    masks, z = torch.randint(0, 7, (20, 32, 32)), painter.random_styles(20, seed=1)
    images = painter.generate(masks, z)
    assert images.shape == (20, 32, 32, 3) and images.dtype == np.uint8
    alone = painter.generate(masks[18:19], z[18:19])[0].astype(int)
    assert np.abs(alone - images[18]).max() <= 1


@pytest.mark.parametrize(("masks", "styles"), [(5, 4), (2, 8), (1, 20), (3, 1)])
def test_several_styles_of_a_mask_are_painted_as_with_the_mask_repeated(painter, masks, styles):
    ids, z = torch.randint(0, 7, (masks, 32, 32)), painter.random_styles(masks * styles, seed=1)
    repeated = painter.generate(ids.repeat_interleave(styles, 0), z)
    assert np.abs(painter.generate(ids, z).astype(int) - repeated).max() <= 1


def test_styles(painter):
    assert torch.equal(painter.random_styles(3, seed=1), painter.random_styles(3, seed=1))
    images = torch.randint(0, 256, (18, 3, 64, 64), dtype=torch.uint8)
    assert painter.encode_styles(images).shape == painter.random_styles(18).shape == (18, 4)
    painter.encoder = None
    with pytest.raises(ValueError, match="without a style encoder"):
        painter.encode_styles(images)


@pytest.fixture
def by_region():
    """A painter of styles by region, whose mean style is known, without a U-Net."""
    torch.manual_seed(0)
    generator = Generator(size=32, z_dim=7 * CODE, ngf=4, nhidden=4, classes=7, z="regions").eval()
    generator.style_mean.copy_(torch.arange(7 * CODE) / 100)
    return Painter(generator, SEVEN)


def test_styles_by_region_are_the_colors_under_the_mask(by_region):
    images, masks = torch.zeros(18, 3, 32, 32, dtype=torch.uint8), torch.zeros(18, 32, 32, dtype=torch.uint8)
    images[:, 0], masks[:, 16:] = 255, 5
    codes = by_region.encode_styles(images, masks)
    assert codes.shape == by_region.random_styles(18).shape == (18, 21)
    hair, eye = by_region.numbers_of("hair"), by_region.numbers_of("eye")
    torch.testing.assert_close(codes[17, hair], torch.tensor([1.0, -1, -1]))
    assert torch.equal(codes[17, eye], by_region.generator.style_mean[eye])  # in lack of eyes the collection's mean


def test_images_without_masks_are_segmented_for_styles_by_region(by_region):
    images = torch.randint(0, 256, (18, 3, 32, 32), dtype=torch.uint8)
    with pytest.raises(ValueError, match="without a style encoder"):
        by_region.encode_styles(images)
    unet = Unet(size=32, decoder="upsample", decoder_channels=(4,) * 5, classes=7).eval()
    by_region.segmenter = Segmenter(unet, SEVEN)
    masks = torch.from_numpy(by_region.segmenter.masks(images.permute(0, 2, 3, 1).numpy()))
    assert torch.equal(by_region.encode_styles(images), by_region.encode_styles(images, masks))


def test_a_style_by_region_changes_its_region_most(by_region):
    masks, z = torch.zeros(1, 32, 32, dtype=torch.uint8), by_region.random_styles(1, seed=1).repeat(2, 1)
    masks[:, 16:] = 5
    z[1, by_region.numbers_of("hair")] += 1
    a, b = by_region.generate(masks, z).astype(int)
    changes = np.abs(a - b).mean((1, 2))
    assert changes[20:].mean() > 4 * changes[:12].mean() and changes[20:].mean() > 1


def test_random_styles_have_the_mean_and_covariance_of_the_training(painter):
    covariance = torch.tensor([[4.0, 1.2, 0, 0], [1.2, 1, 0, 0], [0, 0, 1, 0.5], [0, 0, 0.5, 9]])
    painter.generator.style_mean.copy_(torch.tensor([3.0, 0, -1, 0]))
    painter.generator.style_scale.copy_(torch.linalg.cholesky(covariance))
    with torch.autocast("cpu", torch.bfloat16):  # as in a training
        styles = painter.random_styles(20_000, seed=1)
    assert styles.dtype == torch.float32
    torch.testing.assert_close(styles.mean(0), painter.generator.style_mean, atol=0.1, rtol=0)
    torch.testing.assert_close(styles.T.cov(), covariance, atol=0.2, rtol=0)


def test_random_colors_of_regions_are_colors(by_region):
    styles = by_region.random_styles(100, seed=1)
    assert styles.min() == -1 and styles.max() == 1


def test_random_styles_are_standard_normal_at_first(painter):
    assert torch.equal(painter.random_styles(5, seed=1), torch.randn((5, 4), generator=torch.manual_seed(1)))


def test_a_grid_of_masks_by_styles(painter):
    pixels, masks = torch.zeros(5, 3, 32, 32, dtype=torch.uint8), torch.zeros(5, 32, 32, dtype=torch.uint8)
    grid = painter.style_grid(pixels, masks, painter.random_styles(5, seed=0), rows=[0, 1], columns=[2, 3, 4])
    assert grid.width > 5 * 128 and grid.height > 3 * 128


def test_a_saved_model_keeps_its_table(painter, tmp_path):
    arguments = {"size": 32, "z_dim": 4, "ngf": 4, "nhidden": 4, "classes": 7}
    save_model(tmp_path / "model.safetensors", painter.generator, arguments, {}, SEVEN)
    loaded = Painter.load(tmp_path)
    assert loaded.classes == SEVEN and loaded.encoder is None
    with pytest.raises(UserError, match="accepted: around, head"):
        Painter.load(tmp_path, TWO)
