"""Layouts of masks, and distances between masks."""

import numpy as np
import pytest

from facemill.metrics import layouts as module
from facemill.metrics.layouts import PER_CLASS, layouts, mask_distances, nearest_masks, standardized


def boxes() -> np.ndarray:
    """Two masks of 8 x 8 pixels: a box of class 1 on the left, and none."""
    masks = np.zeros((2, 8, 8), np.uint8)
    masks[0, 2:6, :4] = 1
    return masks


def test_a_layout_has_the_areas_centers_and_deviations_of_classes():
    found = layouts(boxes(), 3).reshape(2, 3, PER_CLASS)
    assert found[0, 1, :3] == pytest.approx([16 / 64, 0.5, 0.25])
    assert found[0, 1, 3:] == pytest.approx([np.std([2.5, 3.5, 4.5, 5.5]) / 8, np.std([0.5, 1.5, 2.5, 3.5]) / 8])
    assert found[:, :, 0].tolist() == [[0.75, 0.25, 0], [1, 0, 0]]
    assert np.isnan(found[1, 1, 1:]).all() and np.isnan(found[:, 2, 1:]).all()


def test_standardized_layouts_have_no_gaps():
    reference = np.array([[1.0, 5, np.nan, 0], [3, 5, np.nan, np.nan]])
    found = standardized(np.array([[2, 6, 7, np.nan], [3, 5, np.nan, 1]]), reference)
    assert found.tolist() == [[0, 1, 7, 0], [1, 0, 0, 1]]


def test_masks_are_as_far_apart_as_their_miou_has_it():
    first, second = boxes()
    assert mask_distances(first[None], boxes(), 3).tolist() == [[0, pytest.approx(1 - (48 / 64 + 0) / 2)]]
    assert mask_distances(second[None], second[None], 3).tolist() == [[0]]


def test_the_nearest_mask_is_found_in_blocks_and_mirrored(monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 2)
    random = np.random.default_rng(0)
    training = random.integers(0, 3, (5, 16, 16)).astype(np.uint8)
    own = np.stack([training[3], training[1][:, ::-1], training[4]])
    found = nearest_masks(own, training, 3)
    assert found.distances.tolist() == [0, 0, 0] and found.indices.tolist() == [3, 1, 4]
    assert found.mirrored.tolist() == [False, True, False]
