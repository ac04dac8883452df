"""Which tracks are one person's."""

import numpy as np
import pytest

from facemill.swap.persons import Look, person_of, unlikeness

LIGHT, DARK, RED = (np.array(lab, np.float32) for lab in [(80, 10, 20), (40, 15, 25), (60, 50, 40)])
BROWN = np.array((30, 10, 20), np.float32)


def row(frame, track, side=100.0, left=0.0):
    box = [left, 0, left + side, side]
    return {"frame": frame, "track": track, "time": frame / 12, "box": box, "matrix": [1 / side, 0, 0, 0, 1 / side, 0]}


def wanted(*tracks, like=None, cuts=(), are_photos=False):
    """Which tracks are the person's: each is given as its frames, look, and options of `row`."""
    rows, looks = [], []
    for number, (frames, look, options) in enumerate(tracks):
        rows += [row(frame, number, **options) for frame in frames]
        looks += [look] * len(frames)
    order = np.argsort([row["frame"] for row in rows], kind="stable")
    chosen = person_of([rows[i] for i in order], [looks[i] for i in order], like, cuts, are_photos=are_photos)
    return sorted({rows[i]["track"] for i, is_wanted in zip(order, chosen, strict=True) if is_wanted})


def test_the_largest_track_is_the_person():
    small = (range(30), Look(DARK, RED), {"side": 40, "left": 200})
    assert wanted((range(20), Look(LIGHT, BROWN), {}), small) == [0]
    assert wanted(small, (range(20), Look(LIGHT, BROWN), {})) == [1]


def test_tracks_that_a_cut_broke_are_one_person_where_they_look_alike():
    tracks = [
        (range(30), Look(LIGHT, BROWN), {}),
        (range(200, 210), Look(LIGHT + 2, BROWN), {"left": 300}),
        (range(300, 320), Look(DARK, BROWN), {"left": 300}),
        (range(400, 420), Look(LIGHT, RED), {"left": 300}),
    ]
    assert wanted(*tracks) == [0, 1]


def test_who_is_there_at_the_same_time_is_another_however_alike():
    alike = Look(LIGHT, BROWN)
    assert wanted((range(30), alike, {}), (range(25, 50), alike, {"left": 300})) == [0]


def test_a_hand_before_the_face_does_not_make_another_person_of_it():
    shaded = Look(LIGHT - np.array((14, 0, 0), np.float32), BROWN)
    assert unlikeness(shaded, Look(LIGHT, BROWN)) > 10
    assert wanted((range(30), Look(LIGHT, BROWN), {}), (range(36, 50), shaded, {"left": 10})) == [0, 1]
    assert wanted((range(30), Look(LIGHT, BROWN), {}), (range(36, 50), shaded, {"left": 10}), cuts=[33]) == [0]
    assert wanted((range(30), Look(LIGHT, BROWN), {}), (range(36, 50), shaded, {"left": 90})) == [0]
    assert wanted((range(30), Look(LIGHT, BROWN), {}), (range(90, 99), shaded, {"left": 10})) == [0]


def test_a_chain_of_tracks_is_one_person():
    tracks = [
        (range(30), Look(LIGHT, BROWN), {}),
        (range(31, 40), Look(LIGHT - np.array((12, 0, 0), np.float32), BROWN), {}),
        (range(500, 520), Look(LIGHT - np.array((18, 0, 0), np.float32), BROWN), {}),
    ]
    assert wanted(*tracks) == [0, 1, 2]
    assert wanted(tracks[0], tracks[2]) == [0]


def test_like_chooses_another_than_the_largest():
    tracks = [(range(30), Look(LIGHT, BROWN), {}), (range(10), Look(DARK, RED), {"side": 50, "left": 300})]
    assert wanted(*tracks, like=Look(DARK, RED)) == [1]


def test_nobody_is_chosen_who_does_not_look_like_it():
    tracks = [(range(30), Look(LIGHT, BROWN), {}), (range(30, 40), Look(LIGHT, RED), {"left": 300})]
    assert wanted(*tracks, like=Look(DARK, BROWN)) == []
    assert wanted(*tracks, like=Look(DARK, BROWN), are_photos=True) == []
    assert wanted(*tracks, like=Look(LIGHT + 2, BROWN)) == [0]


def test_of_each_photo_it_is_the_largest_face_or_the_one_like():
    tracks = [
        ([0], Look(LIGHT, BROWN), {}),
        ([0], Look(DARK, RED), {"side": 50}),
        ([1], Look(DARK, RED), {"side": 60}),
        ([2], Look(DARK, RED), {}),
        ([2], Look(LIGHT, BROWN), {"side": 50}),
    ]
    assert wanted(*tracks, are_photos=True) == [0, 2, 3]
    assert wanted(*tracks, are_photos=True, like=Look(LIGHT, BROWN)) == [0, 4]


def test_colors_that_are_not_seen_do_not_count():
    assert unlikeness(Look(LIGHT, None), Look(LIGHT, RED)) == 0
    assert unlikeness(Look(None, None), Look(LIGHT, RED)) == np.inf
    assert person_of([], [], None, [], are_photos=False).size == 0
    assert unlikeness(Look(LIGHT, RED), Look(LIGHT, BROWN)) == pytest.approx(
        unlikeness(Look(None, RED), Look(DARK, BROWN))
    )
