"""Precision and recall on sets drawn by hand, KID's deviation, shares of names, distances far from the origin."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from facemill.metrics.samples import (
    covered,
    distances_between,
    interval,
    kid_deviation,
    precision_recall,
    shares,
    total_variation,
)


def test_distances_keep_their_digits_far_from_the_origin():
    a, b = np.random.default_rng(0).normal(size=(2, 40, 5)) + 1e4
    np.testing.assert_allclose(distances_between(a, b), cdist(a, b), atol=1e-6)


def test_a_point_is_covered_within_the_distance_of_a_neighbor_among_the_others():
    line = np.array([[0.0], [1.0], [3.0], [10.0]])
    points = np.array([[-1.0], [-1.1], [2.5], [17.0], [17.1]])
    assert covered(points, line, neighbors=1).tolist() == [True, False, True, True, False]
    assert covered(points, line, neighbors=9).all(), "fewer others than neighbors: the farthest of them counts"


def test_precision_falls_by_strangers_and_recall_by_what_is_missing():
    random = np.random.default_rng(0)
    left, right, stranger = (random.normal(x, 0.1, size=(200, 2)) for x in (0, 10, 100))
    real = np.concatenate([left, right])
    same = precision_recall(real + random.normal(0, 0.001, real.shape), real)
    assert same["precision"] > 0.95 and same["recall"] > 0.95
    one_mode = precision_recall(left[::2], real)
    assert one_mode == {"precision": 1, "recall": pytest.approx(0.5, abs=0.03)}
    half_strange = precision_recall(np.concatenate([left, stranger]), real)
    assert half_strange == {"precision": 0.5, "recall": 0.5}


def test_the_deviation_of_kid_falls_with_the_number_of_portraits():
    a, b = np.random.default_rng(0).normal(size=(2, 2000, 4))
    few, many = kid_deviation(a[:100], b[:100]), kid_deviation(a, b)
    assert few > 2 * many > 0


def test_shares_count_those_without_a_name_and_their_variation_is_half_the_difference():
    a, b = (shares(np.array(names), 3) for names in ([0, 0, 1, -1], [2, 2, 2, 2]))
    assert a.tolist() == [0.5, 0.25, 0, 0.25]
    assert total_variation(a, b) == 1
    assert total_variation(a, a) == 0
    assert total_variation(a, shares(np.array([0, 1, 1, -1]), 3)) == 0.25


def test_an_interval_is_that_of_a_binomial_share():
    lower, upper = interval(0.25, 400)
    deviation = np.sqrt(0.25 * 0.75 / 400)
    assert [lower, upper] == pytest.approx([0.25 - 1.96 * deviation, 0.25 + 1.96 * deviation], abs=0.008)
    assert interval(1, 50) == [1, 1]
