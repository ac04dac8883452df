"""Ways through latent space."""

import numpy as np
import pytest

from facemill.latent.walk_latents import STRIDE, interpolate, random_walk, slider


def test_a_slider_goes_along_its_vector():
    np.testing.assert_array_equal(
        slider(np.array([1.0, 2.0]), np.array([0.0, 4.0]), (-0.5, 0, 1)), [[1, 0], [1, 2], [1, 6]]
    )


def test_a_line_is_straight():
    np.testing.assert_array_equal(interpolate(np.array([0.0, 0.0]), np.array([4.0, 8.0]), 3), [[0, 0], [2, 4], [4, 8]])


@pytest.fixture
def latents() -> np.ndarray:
    """Of very different spread along two skew axes, far from the origin."""
    random = np.random.default_rng(0)
    return random.normal(size=(2000, 2)) * [10, 0.1] @ np.array([[0.6, 0.8], [-0.8, 0.6]]) + [100, -50]


def test_a_random_walk_stays_where_latents_are(latents):
    way = random_walk(latents, latents[0], stations=400, between=3, seed=1)
    assert way.shape == (1201, 2)
    np.testing.assert_allclose(way[0], latents[0])
    np.testing.assert_allclose(np.cov(way.T), np.cov(latents.T), rtol=0.25)
    np.testing.assert_allclose(way.mean(0), latents.mean(0), atol=2)
    np.testing.assert_array_equal(way, random_walk(latents, latents[0], 400, 3, 1))


def test_a_random_walk_goes_in_small_steps(latents):
    way = random_walk(latents, latents[0], stations=50, between=10, seed=2)
    apart = np.linalg.norm(np.diff(way, axis=0), axis=1)
    assert apart.max() < 4 * 10 * STRIDE / 10
