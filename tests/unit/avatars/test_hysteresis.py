"""Choices in films that noise does not change."""

import numpy as np
import pytest

from facemill.avatars.hysteresis import Hysteresis


def choices(rows, keep=0.05, hold=3, apart=1.0):
    count = len(rows[0])
    chooser = Hysteresis(np.full((count, count), apart), keep=keep, hold=hold)
    return [chooser.choose(np.array(row, float)) for row in rows]


def test_the_first_choice_is_the_nearest():
    assert choices([[3, 1, 2]]) == [1]


def test_a_clearly_nearer_candidate_is_chosen_in_the_frame_that_completes_the_hold():
    assert choices([[1, 2], [2, 1], [2, 1], [2, 1], [2, 1]]) == [0, 0, 0, 1, 1]


def test_two_frames_of_a_blink_change_nothing():
    assert choices([[1, 2], [2, 1], [2, 1], [1, 2], [2, 1], [2, 1]]) == [0] * 6


@pytest.mark.parametrize(("apart", "distance", "chosen"), [(1, 0.96, 0), (1, 0.94, 1), (4, 0.81, 0), (4, 0.79, 1)])
def test_a_candidate_must_be_nearer_by_the_share_of_what_lies_between_the_two(apart, distance, chosen):
    assert choices([[1, 2], *[[1, distance]] * 6], apart=apart)[-1] == chosen


def test_what_must_not_be_chosen_never_is_and_leaves_after_the_hold():
    assert choices([[1, np.inf], [np.inf, 5], [np.inf, 5], [np.inf, 5]]) == [0, 0, 0, 1]
    assert choices([[1, np.inf]] * 6) == [0] * 6


def test_candidates_that_take_turns_are_both_nearer_and_the_nearest_is_chosen():
    assert choices([[1, 9, 9], [5, 1, 2], [5, 2, 1], [5, 1, 2]]) == [0, 0, 0, 1]


def test_counts_begin_anew_after_a_change():
    assert choices([[1, 2], *[[2, 1]] * 3, [1, 2], [1, 2], [1, 2]]) == [0, 0, 0, 1, 1, 1, 0]


def test_noise_between_two_alike_candidates_flickers_only_without_hysteresis():
    distances = 1 + np.random.default_rng(0).uniform(-0.02, 0.02, (200, 2))
    raw, held = choices(distances, keep=0, hold=1), choices(distances)
    assert np.count_nonzero(np.diff(raw)) > 50
    assert len(set(held)) == 1


def test_without_hysteresis_each_frame_has_its_nearest():
    distances = np.random.default_rng(1).uniform(0, 1, (50, 4))
    assert choices(distances, keep=0, hold=1) == distances.argmin(1).tolist()
