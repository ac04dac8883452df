"""Figures of exchanged faces against numbers worked by hand."""

import numpy as np
import pytest
from helpers.swapped import face_at, points_at

from facemill.data.classes import IGNORE, SEVEN
from facemill.swap.identity import inner_face
from facemill.swap.swap_measures import (
    FaceFlicker,
    color_difference,
    face_error,
    found_figures,
    jitter_figure,
    mean_and_deviation,
    on_main_face,
    part_errors,
    seam,
    seam_figures,
    truth_figures,
)

[FACE], [EYE], [MOUTH] = map(SEVEN.role_ids, ("face", "eye", "mouth"))


def flat(value, size=32):
    return np.full((size, size, 3), value, np.uint8)


def test_the_mean_leaves_out_what_is_no_number():
    assert mean_and_deviation([1, np.nan, 3]) == {"mean": 2.0, "sd": 1.0}
    assert mean_and_deviation([np.nan]) == mean_and_deviation([]) == {"mean": None, "sd": None}


def test_the_error_of_a_face_is_that_of_its_own_pixels():
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 16:48], mask[20:24, 20:24] = FACE, EYE
    drawn = flat(200)
    drawn[8:24, 8:24] = 110
    assert face_error(drawn, flat(100), mask) == 10
    assert np.isnan(face_error(drawn, flat(100), np.zeros_like(mask)))


def test_the_errors_of_eyes_and_mouth_are_those_of_their_boxes():
    mask = np.full((32, 32), FACE, np.uint8)
    mask[10, 8], mask[11, 23] = EYE, EYE
    drawn = flat(100)
    drawn[10:12, 8:24] = 130
    errors = part_errors(drawn, flat(100), mask)
    assert errors[0] == 30 and np.isnan(errors[1])


def test_truth_is_0_of_perfect_expressions_and_1_of_the_mean_face():
    mean_face = np.array([(20.0, 40.0), (40.0, 20.0)])
    assert truth_figures(np.zeros((2, 2)), mean_face)["ratio"] == 0
    figures = truth_figures(mean_face, mean_face)
    assert figures["ratio"] == 1 and figures["eye"] == {"ratio": 1.0, "l1": 30.0, "mean_face_l1": 30.0}
    half = truth_figures(mean_face / [1, 2], mean_face)
    assert half["ratio"] == 0.75 and half["mouth"]["ratio"] == 0.5 and half["sd"] == pytest.approx(0.0833, abs=1e-3)


def test_frames_without_an_eye_or_a_mouth_count_for_no_truth():
    known, unknown = np.array([(10.0, 10.0)]), np.array([(np.nan, 10.0)])
    both = np.concatenate([known, unknown])
    assert truth_figures(both, 2 * both) == truth_figures(known, 2 * known)
    assert truth_figures(unknown, unknown) == {"ratio": None, "sd": None}


def step(height, column=16):
    """A frame with an upright edge of so many levels."""
    pixels = flat(100)
    pixels[:, column:] = 100 + height
    return pixels


@pytest.mark.parametrize(("after", "ratio"), [(step(40), 1), (step(80), 2), (step(20), 0.5)])
def test_a_seam_is_the_change_across_the_border_over_that_before(after, ratio):
    alpha = np.zeros((20, 24), np.float32)
    alpha[:, 12:] = 1  # the border lies on the edge
    changes = seam(step(40), after, alpha, (4, 6, 28, 26))
    assert changes[1] / changes[0] == pytest.approx(ratio, rel=0.05) and changes[0] > 5
    assert seam_figures(np.array([changes] * 2))["ratio"] == pytest.approx(ratio, rel=0.05)


def test_changes_along_the_border_are_no_seam():
    alpha = np.zeros((32, 32), np.float32)
    alpha[16:] = 1  # a level border across the upright edge
    assert seam(step(40), step(80), alpha, (0, 0, 32, 32))[1] < 0.5


def test_a_face_that_was_not_put_in_has_no_seam():
    nothing = np.zeros((4, 4), np.float32)
    assert np.isnan(seam(step(40), step(40), nothing, (0, 0, 4, 4))).all()
    assert seam_figures(np.array([(np.nan, np.nan), (2.0, 4.0)])) == {"ratio": 2.0, "sd": 0.0}


def test_the_difference_of_colors_is_that_of_the_skin():
    mask = np.full((32, 32), FACE, np.uint8)
    mask[:20] = MOUTH
    after = flat(128)
    after[:20] = (255, 0, 0)
    assert color_difference(flat(128), after, mask) == 0
    assert color_difference(flat(128), flat(148), mask) > 5
    assert np.isnan(color_difference(flat(128), after, np.full_like(mask, IGNORE)))


def test_points_on_a_line_do_not_jitter_and_tracks_are_told_apart():
    pixels = np.zeros((64, 64, 3), np.uint8)

    def faces(shifts, track):
        return [face_at(pixels, points_at(30 + shift, 30, 32), number, track=track) for number, shift in shifts]

    steady = faces(enumerate((0, 1, 2, 3)), 0)
    assert jitter_figure([*steady, *faces(enumerate((20, 21, 22), 4), 1)]) == pytest.approx(0, abs=1e-3)
    jittering = faces(enumerate((0, 1, 0)), 2)
    assert jitter_figure(jittering) == pytest.approx(2 * 256 / 32, rel=1e-3)
    assert jitter_figure(steady[:2]) is None


def test_flicker_is_the_change_of_what_is_still_inside_the_face():
    flicker = FaceFlicker()
    noisy = flat(100)
    noisy[~inner_face(32)] = 0
    for number in range(4):
        flicker.add(0, number, flat(100 + number % 2), np.where(number % 2, noisy, flat(104)))
    figures = flicker.figures()
    assert figures == {"source": 1.0, "swapped": 4.0, "ratio": 4.0, "still": 1.0}
    for track in range(1, 4):  # a cut is no flicker
        flicker.add(track, 3 + track, flat(50 * track), flat(250 - 50 * track))
    for frame in (8, 10, 13):  # nor is a gap in a track
        flicker.add(3, frame, flat(150), flat(10 * frame))
    assert flicker.figures() == figures


def test_flicker_of_photos_cannot_be_told():
    flicker = FaceFlicker()
    flicker.add(0, 0, flat(1), flat(2))
    assert flicker.figures() == {"source": None, "swapped": None, "ratio": None, "still": 0.0}


def test_frames_are_counted_with_the_reasons_of_those_without_a_face():
    rows = [{"faces": 1, "reason": None}, {"faces": 0, "reason": "no face"}, {"faces": 0, "reason": "blurred"}]
    assert found_figures([*rows, rows[1]], ["blurred", "another person", "blurred"]) == {
        "frames": 4,
        "with_face": 0.25,
        "without": {"blurred": 1, "no face": 2},
        "rejected": {"another person": 1, "blurred": 2},
    }


def test_a_face_is_right_where_the_largest_true_face_is():
    mask = np.zeros((64, 96), np.uint8)
    mask[10:50, 10:50], mask[20:40, 70:90] = FACE, FACE
    pixels = np.zeros((64, 96, 3), np.uint8)
    assert on_main_face(face_at(pixels, points_at(30, 30, 40)), mask)
    assert not on_main_face(face_at(pixels, points_at(80, 30, 20)), mask)
    assert not on_main_face(face_at(pixels, points_at(30, 30, 40)), np.zeros_like(mask))
    assert not on_main_face(face_at(pixels, points_at(-30, 30, 40)), mask)
