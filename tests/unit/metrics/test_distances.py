"""The Frechet distance against its closed form, KID's expectation, and when a distance is called FID."""

import numpy as np
import pytest

from facemill.metrics import distances
from facemill.metrics.distances import feature_distances, frechet_distance, kid


def test_frechet_distance_of_shifted_and_scaled_gaussians():
    x = np.random.default_rng(0).normal(size=(500, 3))
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(x, x + np.array([1, 2, 0])) == pytest.approx(5, abs=1e-6)
    assert frechet_distance(x, 2 * (x - x.mean(0)) + x.mean(0)) == pytest.approx(np.trace(np.cov(x.T)), abs=1e-6)


def kids(shift: float, size: int) -> np.ndarray:
    """KID of samples of N(0, 1) and N(shift, 1), in one dimension."""
    random = np.random.default_rng(0)
    draws = (random.normal([[0.0], [shift]], 1, (2, size))[..., None] for _ in range(400))
    return np.array([kid(a, b) for a, b in draws])


@pytest.mark.parametrize("size", [5, 50])
def test_kid_is_zero_on_average_for_one_distribution_however_few_the_images(size):
    found = kids(0, size)
    assert abs(found.mean()) < 3 * found.std() / np.sqrt(len(found))
    assert found.min() < 0 < found.max()


@pytest.mark.parametrize("size", [5, 50])
def test_kid_of_shifted_gaussians_is_that_of_their_moments(size):
    """The kernel (xy + 1)^3 has the features sqrt(3) x, sqrt(3) x^2 and x^3: KID adds their means' squared differences.

    The means of N(1, 1) are 1, 2 and 4, those of N(0, 1) 0, 1 and 0: 3 + 3 + 16.
    """
    found = kids(1, size)
    assert found.mean() == pytest.approx(22, abs=3 * found.std() / np.sqrt(len(found)))


def test_kid_of_more_images_than_a_block():
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2300, 4)), random.normal(size=(1100, 4))

    def mean(x: np.ndarray, y: np.ndarray) -> float:
        kernel = (x @ y.T / 4 + 1) ** 3
        return float(kernel[~np.eye(len(x), dtype=bool)].mean() if x is y else kernel.mean())

    assert kid(a, b) == pytest.approx(mean(a, a) + mean(b, b) - 2 * mean(a, b))


def test_kid_of_masks_in_several_styles_is_zero_on_average_for_one_distribution():
    """Portraits of one mask are alike, and no portraits of independent draws."""
    random, found = np.random.default_rng(0), []
    for _ in range(200):
        masks, styles = random.normal(size=(20, 1, 2)), random.normal(size=(20, 4, 2))
        real = random.normal(size=(60, 2)) + random.normal(size=(60, 2))
        found.append(feature_distances(masks + styles, real, are_inception=True)["kid"])
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(len(found))


def test_distances_are_called_by_their_features_and_numbers(monkeypatch):
    monkeypatch.setattr(distances, "FID_IMAGES", 100)
    random = np.random.default_rng(0)
    real, few, many = (random.normal(size=shape) for shape in [(100, 2), (24, 4, 2), (25, 4, 2)])
    assert list(feature_distances(many, real, are_inception=False)) == ["frechet_distance"]
    assert list(feature_distances(few, real, are_inception=True)) == ["frechet_distance", "kid"]
    assert list(feature_distances(many, real[:-1], are_inception=True)) == ["frechet_distance", "kid"]
    found = feature_distances(many, real, are_inception=True)
    assert found["fid"] == frechet_distance(many.reshape(-1, 2), real)
    assert found["frechet_distance"] == frechet_distance(many[:, 0], real)  # of as many as there are masks
