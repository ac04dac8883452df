"""Faces that are not used, and why."""

import numpy as np
import pytest

from facemill.swap.alignment import POINTS, similarity
from facemill.swap.rejects import distances, frame_rows, hold_out, reasons, reject_by_hand


def row(frame=0, track=0, points=100 * POINTS, **changes):
    made = {"id": f"a-{frame:06}-0", "frame": frame, "track": track, "rejected": None, "sharpness": 100.0}
    made |= {"points": points.ravel().tolist(), "matrix": similarity(points).ravel().tolist(), "distance": 0.0}
    made |= {"time": frame / 12, "box": [0, 0, 100, 100]}
    return made | changes


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"points": 31 * POINTS}, "small"),
        ({"points": 33 * POINTS}, None),
        ({"sharpness": 10.0}, "blurred"),
        ({"distance": 0.2}, "far from the mean face"),
        ({"points": 100 * (1 - POINTS)}, "eyes below mouth"),
    ],
)
def test_each_reason(changes, reason):
    rows = [row(), row(), row(**changes)]
    assert reasons(rows, np.ones(3, bool), 64) == [None, None, reason]
    assert reasons(rows, np.array([True, True, False]), 64) == [None, None, "another person"]


def test_the_usual_sharpness_is_the_persons_alone():
    rows = [row(sharpness=5.0), row(sharpness=100.0), row(sharpness=100.0)]
    assert reasons(rows, np.array([True, False, False]), 64)[0] is None


def test_distance_is_from_the_mean_of_the_persons_faces():
    wide = 100 * POINTS * (1.2, 1)
    rows = [row(points=wide), row(points=wide + 50), row(points=wide), row()]
    away = distances(rows, np.array([True, True, True, False]))
    assert away[:3] == pytest.approx([0, 0, 0], abs=1e-6)
    assert away[3] > 0.015
    assert distances([], np.zeros(0, bool)) == []


def test_frames_say_why_they_have_no_face():
    rows = [
        row(0),
        row(0, rejected="another person"),
        row(1, rejected="another person"),
        row(1, rejected="blurred"),
        row(2, rejected="another person"),
    ]
    table = frame_rows([(number, 10 * number, number / 2) for number in range(4)], rows)
    assert [line["faces"] for line in table] == [1, 0, 0, 0]
    assert [line["reason"] for line in table] == [None, "blurred", "another person", "no face"]
    assert table[3] == {"frame": 3, "pts": 30, "time": 1.5, "faces": 0, "reason": "no face"}


def test_faces_are_rejected_by_hand():
    rows = reject_by_hand([row(0), row(1), row(2, rejected="small")], {"a-000001-0", "a-000002-0"})
    assert [line["rejected"] for line in rows] == [None, "by hand", "by hand"]


def held(rows, share):
    return [line["frame"] for line in hold_out(rows, share) if line["held_out"]]


def test_the_end_of_each_stretch_is_held_out():
    rows = [row(frame, rejected="small" if frame == 9 else None) for frame in range(10)]
    elsewhere = [row(frame, track=1, box=[200, 0, 300, 100]) for frame in range(10, 20)]
    later = [row(frame, track=2, box=[200, 0, 300, 100]) for frame in range(50, 60)]
    assert held(rows + elsewhere + later, 0.3) == [6, 7, 8, 17, 18, 19, 57, 58, 59]
    assert held(rows + elsewhere, 0) == []


def test_a_blink_begins_no_stretch():
    rows = [row(frame, track=frame // 10) for frame in range(40) if frame % 10 < 8]
    assert held(rows, 0.25) == [30, 31, 32, 33, 34, 35, 36, 37]


def test_photos_and_short_stretches_are_held_out_as_one():
    rows = [row(frame, track=frame, box=[200 * frame, 0, 200 * frame + 100, 100]) for frame in range(11)]
    assert held(rows[:10], 0.2) == [8, 9]
    assert held(rows, 0.2) == [8, 9, 10]
    assert [line["held_out"] for line in hold_out(rows[:2], 0.1)] == [False, True]
    assert [line["held_out"] for line in hold_out(rows[:1], 0.1)] == [False]
