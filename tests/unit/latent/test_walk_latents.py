"""Paths through latent space."""

import numpy as np
import pytest

from facemill.latent.walk_latents import STRIDE, interpolate, random_walk


def test_an_interpolation_is_straight():
    np.testing.assert_array_equal(interpolate(np.array([0.0, 0.0]), np.array([4.0, 8.0]), 3), [[0, 0], [2, 4], [4, 8]])


@pytest.fixture
def latents() -> np.ndarray:
    """Of very different deviation along two skew axes, far from the origin."""
    random = np.random.default_rng(0)
    return random.normal(size=(2000, 2)) * [10, 0.1] @ np.array([[0.6, 0.8], [-0.8, 0.6]]) + [100, -50]


def test_a_random_walk_stays_where_latents_are(latents):
    path = random_walk(latents, latents[0], stations=400, between=3, seed=1)
    assert path.shape == (1201, 2)
    np.testing.assert_allclose(path[0], latents[0])
    np.testing.assert_allclose(np.cov(path.T), np.cov(latents.T), rtol=0.25)
    np.testing.assert_allclose(path.mean(0), latents.mean(0), atol=2)
    np.testing.assert_array_equal(path, random_walk(latents, latents[0], 400, 3, 1))


def test_a_random_walk_goes_in_small_steps(latents):
    path = random_walk(latents, latents[0], stations=50, between=10, seed=2)
    lengths = np.linalg.norm(np.diff(path, axis=0), axis=1)
    assert lengths.max() < 4 * 10 * STRIDE / 10
