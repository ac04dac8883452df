"""Eyes and mouth of a face by its mask."""

import cv2
import numpy as np
import pytest
from helpers.heads import ID, head

from facemill.avatars.film_faces import face_pieces
from facemill.swap.points import locate

POINTS = np.array([(51.5, 63.5), (75.5, 63.5), (63.5, 91.5)])
"""Of `head()`."""


def located(mask, last=None):
    return locate(mask, next(face_pieces(mask)), last)


def turned(mask, angle):
    matrix = cv2.getRotationMatrix2D((64, 72), angle, 1)
    return cv2.warpAffine(mask, matrix, mask.shape, flags=cv2.INTER_NEAREST), matrix


def without(mask, *, left=False, right=False, mouth=False):
    columns = np.arange(mask.shape[1])[None] + np.zeros_like(mask, int)
    gone = (mask == ID["eye"]) & ((left & (columns < 64)) | (right & (columns >= 64)))
    gone |= mouth & (mask == ID["mouth"])
    return np.where(gone, ID["face"], mask).astype(np.uint8)


def test_points_are_the_middles_of_eyes_and_mouth():
    points = located(head())
    assert np.allclose(points.places, POINTS)
    assert points.seen.all()


@pytest.mark.parametrize("angle", [35, -35, 90, 180])
def test_points_of_a_turned_face_keep_their_sides(angle):
    mask, matrix = turned(head(), angle)
    assert np.allclose(located(mask).places, cv2.transform(POINTS[None], matrix)[0], atol=1)


def test_eyes_that_touch_are_split_at_the_axis():
    points = located(head(eye=(24, 8)))
    assert np.allclose(points.places[:2], [(51.5, 63.5), (75.5, 63.5)], atol=1)
    assert points.seen.all()


def test_a_winking_eye_is_an_eye_and_a_crumb_beside_an_eye_is_none():
    mask = without(head(eye=(10, 8)), left=True)
    mask[63:65, 48:56] = ID["eye"]
    assert np.allclose(located(mask).places, POINTS, atol=1)
    mask = without(head(eye=(10, 8)), left=True)
    mask[63:65, 66:69] = ID["eye"]  # of the right one
    points = located(mask)
    assert points.seen.tolist() == [False, True, True]
    assert np.allclose(points.places, POINTS, atol=1.5)


@pytest.mark.parametrize("angle", [0, 25])
@pytest.mark.parametrize("missing", [0, 1])
def test_a_missing_eye_mirrors_the_other(angle, missing):
    mask, matrix = turned(without(head(), left=missing == 0, right=missing == 1), angle)
    points = located(mask)
    assert points.seen.tolist() == [missing != 0, missing != 1, True]
    assert np.allclose(points.places, cv2.transform(POINTS[None], matrix)[0], atol=2)


def test_a_missing_mouth_is_the_lowest_point_of_the_face():
    points = located(without(head(), mouth=True))
    assert points.seen.tolist() == [True, True, False]
    assert points.places[2, 1] == 103


def test_what_is_missing_is_where_it_was_beside_what_is_seen():
    last = POINTS + np.array([(3, 0), (3, 0), (8, -2)])  # the mouth was 5 pixels to the right, 2 higher
    points = located(without(head(), mouth=True), last)
    assert np.allclose(points.places[2], POINTS[2] + (5, -2))
    assert np.allclose(located(without(head(), left=True), POINTS - 7).places, POINTS)


def test_shut_eyes_are_where_they_should_be_and_without_a_memory_there_are_no_points():
    mask = without(head(), left=True, right=True)
    assert located(mask) is None
    points = located(mask, POINTS + 2)
    assert points.seen.tolist() == [False, False, True]
    assert np.allclose(points.places, [*(POINTS[:2] + 2), POINTS[2]])
