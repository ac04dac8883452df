"""Masks as polygons and back; specks and gaps filled from their neighbors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from facemill.data.labelme import Shape, draw
from facemill.imaging.polygons import MIN_IOU, close_gaps, polygons, rasterize, without_specks

VALUES = {str(value): value for value in range(8)}


def redraw(shapes: list[tuple[int, np.ndarray]], size: tuple[int, int]) -> np.ndarray:
    """The mask to which labelme rasterizes polygons."""
    return draw([Shape(str(value), [*map(tuple, outline.tolist())]) for value, outline in shapes], size, VALUES)


def min_iou(a: np.ndarray, b: np.ndarray) -> float:
    return min(np.sum((a == value) & (b == value)) / np.sum((a == value) | (b == value)) for value in np.unique(a))


def face() -> np.ndarray:
    """A face in a ring of hair, with an eye that has a highlight of background."""
    y, x = np.mgrid[:128, :128]
    mask = np.zeros((128, 128), np.uint8)
    for value, radius, center in ((5, 50, 64), (2, 30, 64), (3, 10, 60), (0, 3, 60)):
        mask[np.hypot(x - center, y - center) < radius + 2 * np.sin(x / 5)] = value
    return mask


def test_holes_are_kept_by_the_order_of_drawing():
    shapes = polygons(face())
    assert [value for value, _ in shapes] == [5, 2, 3, 0]
    assert min_iou(face(), redraw(shapes, (128, 128))) >= MIN_IOU


def test_outlines_have_few_vertices():
    steps = sum(np.count_nonzero(np.diff(face(), axis=axis)) for axis in (0, 1))
    assert sum(len(outline) for _, outline in polygons(face())) < steps / 3


def test_straight_parts_need_their_corners_only():
    mask = np.zeros((50, 60), np.uint8)
    mask[10:40, 5:20] = 4
    [(value, outline)] = polygons(mask)
    assert value == 4 and sorted(map(tuple, outline.tolist())) == [(5, 10), (5, 39), (19, 10), (19, 39)]


@pytest.mark.parametrize("pixels", [[(3, 3)], [(3, 3), (3, 4)], [(3, 3), (3, 4), (3, 5), (4, 5)]])
def test_the_smallest_regions_are_polygons_too(pixels):
    mask = np.zeros((9, 9), np.uint8)
    mask[tuple(np.transpose(pixels))] = 4
    [(_, outline)] = polygons(mask)
    assert len(outline) >= 3 and np.array_equal(redraw([(4, outline)], (9, 9)), mask)


@settings(max_examples=300, deadline=None)
@given(arrays(np.uint8, (12, 14), elements=st.integers(0, 3)))
def test_any_mask_is_kept(mask):
    # small regions have no pixel to spare: of noise every pixel comes back
    assert np.array_equal(redraw(polygons(mask), mask.shape), mask)


def test_outlines_are_filled_with_their_border():
    assert rasterize(np.array([[1, 1], [4, 1], [4, 3], [1, 3]]), (6, 6)).sum() == 12


def test_specks_are_filled_from_the_nearest_pixels():
    mask = face()
    mask[5, 5], mask[64, 85], mask[60:64, 100] = 3, 5, 1
    clean = without_specks(mask, 5)
    assert clean[5, 5] == 0 and clean[64, 85] == 2 and not (clean == 1).any()
    assert np.array_equal(without_specks(face(), 5), face())
    assert np.array_equal(without_specks(face(), 10**6), face())  # nothing would be left to take from


def test_narrow_gaps_are_filled_from_both_sides_and_wide_gaps_stay():
    mask = np.zeros((40, 40), np.uint8)
    mask[:, :10], mask[:, 12:20], mask[:, 25:] = 1, 2, 3
    unlabelled = mask == 0
    filled = close_gaps(mask, unlabelled, 3)
    assert (filled[:, 10] == 1).all() and (filled[:, 11] == 2).all()
    assert np.array_equal(filled[:, 12:], mask[:, 12:])
    unlabelled[:, 10:12] = False  # the gap is labelled as background
    assert np.array_equal(close_gaps(mask, unlabelled, 3), mask)
