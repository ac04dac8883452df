"""Copies of training portraits: none in a split of one set, and found where they are, mirrored or not."""

import cv2
import numpy as np
import pytest
from scipy.stats import mannwhitneyu, norm

from facemill.imaging.phash import perceptual_hash
from facemill.metrics import copying
from facemill.metrics.copying import copying_z, near_hashes, nearest

RANDOM = np.random.default_rng(0)
TRAINING, HELD_OUT, NEW = np.split(RANDOM.normal(size=(900, 4)), [400, 600])
MIRROR = np.array([-1, 1, 1, 1])
"""A mirrored portrait has the first feature with the other sign."""
MIRRORED = TRAINING * MIRROR


def test_the_nearest_are_the_same_in_blocks(monkeypatch):
    at_once = nearest(NEW, TRAINING, MIRRORED)
    monkeypatch.setattr(copying, "BLOCK", 64)
    for of_blocks, of_all in zip(nearest(NEW, TRAINING, MIRRORED), at_once, strict=True):
        np.testing.assert_allclose(of_blocks, of_all)
    assert 0 < at_once.mirrored.sum() < len(NEW)


def z(portraits: np.ndarray) -> float:
    return copying_z(*(nearest(x, TRAINING, MIRRORED).distances for x in (portraits, HELD_OUT)))


def test_z_of_portraits_of_the_same_source_is_that_of_chance():
    assert abs(z(NEW)) < 3


@pytest.mark.parametrize("copied", [TRAINING, MIRRORED], ids=["as they are", "mirrored"])
def test_z_of_copies_is_far_below_that_of_chance(copied):
    assert z(copied[:300] + RANDOM.normal(0, 0.05, (300, 4))) < -10


def test_z_of_portraits_far_from_all_others_is_above_that_of_chance():
    assert z(NEW + 3) > 10


def test_z_is_that_of_a_rank_test_with_ties():
    a, b = RANDOM.integers(0, 6, 50), RANDOM.integers(1, 7, 80)
    p = mannwhitneyu(a, b, alternative="less", method="asymptotic", use_continuity=False).pvalue
    assert norm.cdf(copying_z(a, b)) == pytest.approx(p)
    assert copying_z(np.zeros(5), np.zeros(9)) == 0, "all alike: no division by zero"


def test_the_nearest_portrait_is_named_with_its_side():
    found = nearest(np.stack([TRAINING[7], MIRRORED[3]]), TRAINING, MIRRORED)
    assert found.indices.tolist() == [7, 3]
    assert found.mirrored.tolist() == [False, True]
    assert found.distances == pytest.approx([0, 0], abs=1e-6)


def test_near_duplicates_have_nearly_the_hash_of_a_training_portrait():
    pictures = RANDOM.integers(0, 256, (3, 8, 8, 3), np.uint8)
    large = [cv2.resize(picture, (64, 64), interpolation=cv2.INTER_CUBIC) for picture in pictures]
    hashes = np.array([perceptual_hash(picture) for picture in large], np.uint64)
    brighter = perceptual_hash(np.clip(large[0] * 0.8 + 30, 0, 255).astype(np.uint8))
    assert near_hashes(np.array([brighter, *hashes[2:]], np.uint64), hashes[:2]).tolist() == [True, False]
