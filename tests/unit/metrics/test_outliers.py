"""Robust z-scores."""

import warnings

import numpy as np
import pytest

from facemill.metrics.outliers import robust_z


def test_scores_are_standard_deviations_of_normal_values():
    values = np.random.default_rng(1).normal([3, -2], [1, 5], (4000, 2))
    assert robust_z(values, 0).std(0) == pytest.approx([1, 1], abs=0.05)
    assert np.median(robust_z(values, 0), 0) == pytest.approx([0, 0], abs=1e-9)


def test_a_column_of_equal_values_has_no_outliers():
    values = np.array([[1.0], [1.0], [1.0], [1.001]])
    assert np.abs(robust_z(values, min_mad=0.01)).max() == pytest.approx(0.1)


def test_a_value_that_is_not_there_is_no_outlier():
    values = np.array([[0.1, np.nan], [0.2, np.nan], [np.nan, np.nan], [0.9, np.nan]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        z = robust_z(values, 0.01)
    assert not z[:, 1].any() and z[2, 0] == 0 and z[3, 0] > 3
