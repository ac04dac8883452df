"""Figures of portraits against real ones: what equal, worse, few and copied portraits have."""

import math

import numpy as np
import pytest

from facemill.stylegan.figures import Reference, all_figures, figures, order
from facemill.stylegan.judge import Compared, Looks


def looks(features: np.ndarray) -> Looks:
    """Looks of portraits that are no more than their features, without masks."""
    random = np.random.default_rng(len(features))
    count = len(features)
    hashes = random.integers(0, 2**63, count).astype(np.uint64)
    return Looks(
        features, features, hashes, np.empty((count, 0)), np.zeros(count), np.zeros(count), np.empty((count, 0), int)
    )


def drawn(seed: int, count: int, scale: float = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, scale, (count, 8)).astype(np.float32)


def compared(features: np.ndarray) -> Compared:
    return Compared(features, features, np.arange(len(features)).astype(np.uint64))


TRAINING = drawn(0, 500)
REFERENCE = Reference.of(looks(TRAINING), compared(-TRAINING), looks(drawn(1, 100)), {}, None)


def test_portraits_of_the_same_source_have_the_figures_of_held_out_ones():
    found = all_figures(looks(drawn(2, 500)), REFERENCE)
    assert found["frechet_over_floor"] == pytest.approx(1, abs=0.25)
    assert abs(found["kid"]) < 4 * found["kid_deviation"]
    assert found["diversity_vs_real"] == pytest.approx(1, abs=0.05)
    assert found["precision"] == pytest.approx(found["precision_real"], abs=0.08)
    assert abs(found["copying_z"]) < 3
    assert found["copies"] < 0.04
    lower, upper = found["intervals"]["precision"]
    assert lower < found["precision"] < upper


def test_a_distance_is_of_as_many_portraits_as_are_held_out():
    """Of all at once it would be smaller than its floor, though the portraits are no better."""
    found = all_figures(looks(drawn(2, 500)), REFERENCE)
    assert found["frechet_distance_all"] < 0.5 * found["frechet_distance"]


def test_worse_portraits_are_told_by_each_figure():
    found = all_figures(looks(drawn(2, 500, 0.3) + 2), REFERENCE)
    assert found["frechet_over_floor"] > 10
    assert found["kid"] > 10 * found["kid_deviation"]
    assert found["diversity_vs_real"] == pytest.approx(0.3, abs=0.03)
    assert found["recall"] < 0.1


@pytest.mark.parametrize("copied", [TRAINING, -TRAINING], ids=["as they are", "mirrored"])
def test_copies_are_told(copied):
    found = figures(looks(copied[:300] + drawn(3, 300, 0.01)), REFERENCE)
    assert found["copying_z"] < -10 and found["copying_z_pixels"] < -10
    assert found["copies"] > 0.9


def test_portraits_that_are_all_alike_divide_nothing_by_zero():
    alike = looks(np.ones((60, 8), np.float32))
    reference = Reference.of(alike, compared(alike.features), alike, {}, None)
    found = all_figures(alike, reference)
    assert found["diversity"] == 0
    assert found["diversity_vs_real"] is None and found["frechet_over_floor"] is None
    assert found["copying_z"] == 0
    assert not any(isinstance(value, float) and math.isnan(value) for value in found.values())


def test_the_order_of_a_curve_is_the_share_of_steps_that_go_its_way():
    curve = [{"precision": p, "recall": r, "diversity": 1} for p, r in [(0.9, 0.1), (0.8, 0.3), (0.85, 0.2)]]
    assert order(curve) == {"precision": 0.5, "recall": 0.5, "diversity": 1}
