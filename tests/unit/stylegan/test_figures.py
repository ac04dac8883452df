"""Figures of portraits against real ones: what equal, worse, few and copied portraits have."""

import dataclasses
import math

import numpy as np
import pytest

from facemill.data.classes import SEVEN
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


def both_ways(features: np.ndarray) -> tuple[Compared, Compared]:
    """Portraits, and their mirror images, whose features have the other sign."""
    return compared(features), compared(-features)


TRAINING = drawn(0, 500)
REFERENCE = Reference.of(looks(TRAINING), *both_ways(TRAINING), looks(drawn(1, 100)), {}, None)


def test_portraits_of_the_same_source_have_the_figures_of_held_out_ones():
    found = all_figures(looks(drawn(2, 500)), REFERENCE)
    assert found["frechet_over_floor"] == pytest.approx(1, abs=0.25)
    assert abs(found["kid"]) < 4 * found["kid_deviation"]
    assert found["diversity_vs_real"] == pytest.approx(1, abs=0.05)
    assert found["precision"] == pytest.approx(found["precision_real"], abs=0.08)
    assert abs(found["copying_z"]) < 3
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


def test_copies_are_those_nearer_than_99_percent_of_many_held_out_portraits():
    """Of 100 held-out portraits that distance would be one of the two smallest."""
    copied = looks(TRAINING[:300] + drawn(3, 300, 0.01))
    assert figures(copied, REFERENCE)["copies"] is None
    many = Reference.of(looks(TRAINING), *both_ways(TRAINING), looks(drawn(4, 500)), {}, None)
    assert figures(copied, many)["copies"] > 0.9
    found = all_figures(looks(drawn(5, 1000)), many)
    assert found["copies"] == pytest.approx(0.01, abs=0.01)
    assert "copies_real" not in found


def test_a_distance_over_that_of_halves_sees_what_few_held_out_portraits_hide(caplog):
    few = Reference.of(looks(TRAINING), *both_ways(TRAINING), looks(drawn(1, 12)), {}, None)
    found = all_figures(looks(drawn(2, 500, 0.8)), few)
    assert found["frechet_over_halves"] > 2 * found["frechet_over_floor"]
    assert "12 portraits are held out, for 8 features" in caplog.text
    same = all_figures(looks(drawn(2, 500)), REFERENCE)
    assert same["frechet_over_halves"] == pytest.approx(1, abs=0.4)


def test_copies_are_searched_among_all_portraits_of_the_training():
    unlooked = drawn(9, 200)
    every = np.concatenate([TRAINING, unlooked])
    reference = REFERENCE._replace(every=compared(every), mirrored=compared(-every))
    copied = looks(unlooked + drawn(3, 200, 0.01))
    assert abs(figures(copied, REFERENCE)["copying_z"]) < 4
    assert figures(copied, reference)["copying_z"] < -10
    assert (reference.nearest(copied).indices == 500 + np.arange(200)).all()


def test_colors_are_of_as_many_portraits_at_a_time_as_are_held_out():
    """Shares of few names vary more, however alike the sources are."""

    def named(seed: int, count: int) -> Looks:
        names = np.random.default_rng(seed).integers(0, 10, (count, 1))
        return dataclasses.replace(looks(drawn(seed, count)), names=names, parts=np.ones((count, 15)))

    training = named(0, 2000)
    groups = {"hair_color": [str(name) for name in range(10)]}
    reference = Reference.of(training, *both_ways(training.features), named(1, 40), groups, SEVEN)
    found = all_figures(named(2, 2000), reference)
    assert found["colors"]["hair_color"] > found["colors_real"]["hair_color"] / 2


def test_portraits_that_are_all_alike_divide_nothing_by_zero():
    alike = looks(np.ones((60, 8), np.float32))
    reference = Reference.of(alike, *both_ways(alike.features), alike, {}, None)
    found = all_figures(alike, reference)
    assert found["diversity"] == 0
    assert found["diversity_vs_real"] is None and found["frechet_over_floor"] is None
    assert found["copying_z"] == 0
    assert not any(isinstance(value, float) and math.isnan(value) for value in found.values())


def test_the_order_of_a_curve_is_the_share_of_steps_that_go_its_way():
    curve = [{"precision": p, "recall": r, "diversity": 1} for p, r in [(0.9, 0.1), (0.8, 0.3), (0.85, 0.2)]]
    assert order(curve) == {"precision": 0.5, "recall": 0.5, "diversity": 1}
