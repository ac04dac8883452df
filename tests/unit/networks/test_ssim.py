"""Structural similarity, against scikit-image's."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from facemill.networks.ssim import WINDOW, ssim, window_means


@pytest.fixture
def images() -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    x = torch.rand(2, 3, 24, 31, generator=random)
    return x, (0.6 * x + 0.4 * torch.rand(2, 3, 24, 31, generator=random)).clamp(0, 1)


def test_it_is_that_of_scikit_image_where_windows_are_complete(images):
    similar, edge = ssim(*images), WINDOW // 2
    for mine, x, y in zip(similar.numpy(), *(pixels.numpy() for pixels in images), strict=True):
        options = {"win_size": WINDOW, "use_sample_covariance": False, "data_range": 1.0, "channel_axis": 0}
        theirs = structural_similarity(x, y, full=True, **options)[1]
        inner = np.s_[:, edge:-edge, edge:-edge]
        assert np.allclose(mine[inner], theirs[inner], atol=1e-4)


def test_it_is_1_for_equal_images_and_the_same_in_either_order(images):
    x, y = images
    assert torch.allclose(ssim(x, x), torch.ones_like(x), atol=1e-4)
    assert torch.allclose(ssim(x, y), ssim(y, x), atol=1e-6)
    assert ssim(x, y).max() < 1 and ssim(x, 1 - x).mean() < 0


def test_windows_at_the_border_are_cut_off():
    image = torch.arange(100.0).reshape(1, 1, 10, 10)
    means = window_means(image)
    assert means[0, 0, 0, 0].item() == pytest.approx(image[0, 0, :4, :4].mean().item())
    assert means[0, 0, 9, 5].item() == pytest.approx(image[0, 0, 6:, 2:9].mean().item())


def test_its_gradient_makes_images_alike(images):
    x, y = images[0].clone().requires_grad_(), images[1]
    before = ssim(x, y).mean()
    before.backward()
    with torch.no_grad():
        assert ssim(x + 300 * x.grad, y).mean() > before + 0.01
