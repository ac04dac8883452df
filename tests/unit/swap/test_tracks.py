"""Faces of a film followed: all of them, none late, each in one track as long as it is there."""

from fractions import Fraction

import numpy as np
import pytest
from helpers.painted_faces import draw, empty, points_of

from facemill.avatars.film_faces import DOUBTED
from facemill.data.film import Frame
from facemill.swap.tracks import SEARCHED, is_cut, overlap

SIZE = 256


def tracked(finder, pictures):
    tracker = finder.tracker(SIZE)
    for number, pixels in enumerate(pictures):
        tracker.add(Frame(number, number, Fraction(1, 12), pixels))
    return tracker


def tracks(tracker):
    """Frames of each track."""
    numbers = {}
    for seen in tracker.seen:
        numbers.setdefault(seen.track, []).append(seen.frame)
    return numbers


def test_points_lie_on_the_eyes_and_the_mouth(finder):
    (seen,) = tracked(finder, [draw(empty(), 400, 190, 150)]).seen
    assert np.allclose(seen.points, points_of(400, 190, 150), atol=1)
    assert np.allclose(seen.box, [340, 115, 460, 265], atol=4)
    assert seen.is_complete


def test_two_faces_are_two_tracks_and_one_that_comes_is_not_late(finder):
    frames = [draw(empty(), 150 + 2 * i, 180, 130) for i in range(2 * SEARCHED)]
    for pixels in frames[SEARCHED - 2 :]:
        draw(pixels, 500, 200, 90)
    assert list(tracks(tracked(finder, frames)).values()) == [
        list(range(2 * SEARCHED)),
        list(range(SEARCHED - 2, 2 * SEARCHED)),
    ]


def test_faces_that_come_near_each_other_stay_two(finder):
    frames = [draw(draw(empty(), 100 + 8 * i, 170, 120), 500, 200, 120) for i in range(32)]
    followed = tracked(finder, frames)
    assert [len(numbers) for numbers in tracks(followed).values()] == [32, 32]
    last = [seen.points for seen in followed.seen if seen.frame == 31]
    assert np.allclose(last, [points_of(348, 170, 120), points_of(500, 200, 120)], atol=2)


def test_a_face_that_is_hidden_for_a_frame_comes_back_as_another_track(finder):
    frame = draw(empty(), 300, 180, 150)
    assert list(tracks(tracked(finder, [frame, frame, empty(), frame])).values()) == [[0, 1], [3]]


def test_shut_eyes_do_not_end_a_track_unless_there_is_no_mouth(finder):
    awake = [draw(empty(), 300 + 3 * i, 180, 150) for i in range(40)]
    shut = [draw(empty(), 300 + 3 * i, 180, 150, eyes=False) for i in range(40)]
    followed = tracked(finder, [*awake[:5], *shut[5:9], *awake[9:12]])
    assert list(tracks(followed).values()) == [list(range(12))]
    blink = [seen for seen in followed.seen if not seen.is_complete]
    assert [seen.frame for seen in blink] == [5, 6, 7, 8]
    assert all(np.allclose(seen.points, points_of(300 + 3 * seen.frame, 180, 150), atol=3) for seen in blink)
    assert max(seen.confidence for seen in blink) < 0.3 < min(seen.confidence for seen in followed.seen[:5])
    assert len(tracked(finder, awake[:1] + shut[1:]).seen) == 40
    blank = [draw(empty(), 300 + 3 * i, 180, 150, eyes=False, mouth=False) for i in range(40)]
    assert len(tracked(finder, awake[:1] + blank[1:]).seen) == DOUBTED


def test_a_cut_ends_all_tracks(finder):
    here, there = draw(empty(), 300, 180, 150), draw(np.full((360, 640, 3), 255, np.uint8), 320, 190, 150)
    followed = tracked(finder, [here, here, there, there])
    assert followed.cuts == [2]
    assert list(tracks(followed).values()) == [[0, 1], [2, 3]]


def test_each_photo_ends_all_tracks(finder):
    tracker = finder.tracker(SIZE, are_photos=True)
    for number in range(3):
        tracker.add(Frame(number, number, Fraction(1, 12), draw(empty(), 300, 180, 150)))
    assert list(tracks(tracker).values()) == [[0], [1], [2]]


@pytest.mark.parametrize("pixels", [empty(), np.zeros((5, 5, 3), np.uint8), empty(1, 1)])
def test_frames_without_a_face_have_none(finder, pixels):
    assert tracked(finder, [pixels, pixels]).seen == []


def test_another_size_is_a_cut_and_a_nod_is_none():
    frame = draw(empty(), 300, 180, 250)
    assert is_cut(frame, frame[:, :600])
    assert not is_cut(frame, draw(empty(), 330, 200, 250))
    assert is_cut(frame, 255 - frame)


def test_overlap_is_intersection_over_union():
    assert overlap(np.array([0, 0, 4, 4]), np.array([2, 0, 6, 4])) == pytest.approx(1 / 3)
    assert overlap(np.array([0, 0, 4, 4]), np.array([5, 5, 9, 9])) == 0
