"""Samples of the posterior, and their distance from N(0, 1)."""

import numpy as np
import pytest
from scipy.stats import norm

from facemill.latent.posterior import ks_from_normal, sample_posterior


def test_samples_have_the_means_and_deviations_of_the_posterior():
    means, stds = np.tile([3.0, -1.0], (5000, 1)), np.tile([0.5, 2.0], (5000, 1))
    samples = sample_posterior(means, stds, seed=1)
    np.testing.assert_allclose(samples.mean(0), [3, -1], atol=0.1)
    np.testing.assert_allclose(samples.std(0), [0.5, 2], rtol=0.05)
    np.testing.assert_array_equal(samples, sample_posterior(means, stds, seed=1))


def test_distances_from_a_normal():
    samples = np.random.default_rng(0).normal([0, 1, 0], [1, 1, 0.01], (4000, 3))
    by_dimension = ks_from_normal(samples)
    near, moved, narrow = by_dimension["kolmogorov_smirnov"]
    assert near < 0.03
    assert moved == pytest.approx(2 * norm.cdf(0.5) - 1, abs=0.03)
    assert narrow == pytest.approx(0.5, abs=0.02)
    assert by_dimension["mean"][1] == pytest.approx(1, abs=0.1)
    assert by_dimension["deviation"][2] == pytest.approx(0.01, abs=0.001)
