"""Frames of a film of embeddings."""

import cv2
import numpy as np
import pytest

from facemill.avatars.embedding_plots import (
    AVATAR,
    CHANGED,
    FACE,
    HEIGHT,
    SECONDS,
    WIDTH,
    EmbeddingPlots,
    RoleState,
    Swatch,
)
from facemill.avatars.film_faces import Face
from facemill.data.classes import ROLES

ROLE_NAMES = ["eyes", "eyebrows", "mouth", "hair", "face", "clothes"]
PIXELS = np.full((64, 64, 3), 90, np.uint8)
UNSEEN = RoleState("happy", None, None, np.full(8, 0.5), changed=False)


def state(face=0.5, avatar=-0.5, changed=False):
    return RoleState("happy", 0.25, np.full(8, face), np.full(8, avatar), changed)


def seen(mask=None):
    return Face(PIXELS, np.zeros((64, 64), np.uint8) if mask is None else mask, (10.0, 10.0, 40.0))


def pixels_of(canvas, color):
    """Rows and columns of the pixels of a color: int (N, 2)."""
    return np.argwhere((canvas == color).all(2))


@pytest.fixture
def plots():
    return EmbeddingPlots(ROLE_NAMES, "a film")


@pytest.mark.parametrize("size", [(360, 640), (640, 360), (100, 100), (2, 400), (1, 1), (1080, 1920)])
def test_frames_of_any_size_have_one_size_with_and_without_a_face(plots, size):
    frame = np.zeros((*size, 3), np.uint8)
    for face, avatar in [(None, None), (seen(), PIXELS), (None, PIXELS)]:
        assert plots.draw(0.0, frame, face, avatar, {}).shape == (HEIGHT, WIDTH, 3)


def test_bars_of_the_face_are_pink_those_of_the_avatar_purple_up_and_down(plots):
    canvas = plots.draw(0.0, PIXELS, seen(), PIXELS, {"eyes": state()})[:200]
    face, avatar = pixels_of(canvas, FACE), pixels_of(canvas, AVATAR)
    above, below = face[:, 0].mean(), np.median(avatar[avatar[:, 1] < 900, 0])
    assert len(face) > 500
    assert above < below


def test_a_role_that_the_film_does_not_show_has_no_bars(plots):
    canvas = plots.draw(0.0, PIXELS, seen(), PIXELS, {"eyes": UNSEEN})
    assert not len(pixels_of(canvas[:170], FACE))


def test_a_change_is_a_red_line_that_moves_left_and_leaves(plots):
    columns = []
    for i in range(8):
        canvas = plots.draw(float(i), PIXELS, seen(), PIXELS, {"eyes": state(changed=i == 1)})
        red = pixels_of(canvas[:250], CHANGED)
        columns.append({int(column) for column in red[red[:, 0] > 180, 1]})
    assert [len(c) for c in columns] == [0, 1, 1, 1, 1, 1, 1, 0]
    places = [c.pop() for c in columns[1:7]]
    assert places == sorted(places, reverse=True)
    assert np.ptp(np.diff(places)) <= 1
    assert places[0] - places[-1] == pytest.approx(280 * 5 / SECONDS, abs=1)


def test_without_a_face_the_last_avatar_is_gray(plots):
    colored = np.zeros((64, 64, 3), np.uint8) + np.array([200, 30, 30], np.uint8)
    saturation = []
    for face in (seen(), None):
        part = plots.draw(0.0, PIXELS, face, colored, {})[420:660, 340:580]
        saturation.append(cv2.cvtColor(part, cv2.COLOR_RGB2HSV)[..., 1].max())
    assert saturation[0] > 200
    assert saturation[1] == 0


def test_outlines_of_the_mask_lie_where_the_square_lies_in_the_frame(plots):
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 16:48] = ROLES.index("eye")
    frame = np.zeros((324, 576, 3), np.uint8)  # as it is shown
    canvas = plots.draw(0.0, frame, Face(PIXELS, mask, (100.0, 50.0, 128.0)), PIXELS, {})[60:384, 24:600]
    rows, columns = pixels_of(canvas[10:-10, 10:-10] > 20, (True, True, True)).T + 10
    assert (rows.min(), rows.max()) == pytest.approx((50 + 32, 50 + 95), abs=2)
    assert (columns.min(), columns.max()) == pytest.approx((100 + 32, 100 + 95), abs=2)


def test_numbers_far_outside_stay_in_their_card(plots):
    calm = plots.draw(0.0, PIXELS, seen(), PIXELS, {"eyes": state(1.0, -1.0)})
    wild = EmbeddingPlots(ROLE_NAMES, "a film").draw(0.0, PIXELS, seen(), PIXELS, {"eyes": state(1e6, -1e6)})
    assert (calm == wild).all()


def test_a_film_that_goes_back_in_time_starts_its_plots_anew(plots):
    for time in (9.0, 0.0, 0.1):
        canvas = plots.draw(time, PIXELS, seen(), PIXELS, {"eyes": state()})
    assert canvas.shape == (HEIGHT, WIDTH, 3)


def test_what_lies_beyond_the_frame_is_covered_in_the_square(plots):
    frame = np.full((64, 64, 3), 90, np.uint8)
    canvas = plots.draw(0.0, frame, Face(PIXELS, np.zeros((64, 64), np.uint8), (-16.0, -32.0, 64.0)), PIXELS, {})
    square = canvas[400:680, 24:304]
    assert (square[10:138, 10:-10] == 255).all()
    assert (square[142:-10, 10:68] == 255).all()
    assert (square[142:-10, 72:-10] == 90).all()


def test_colors_are_shown_side_by_side_where_a_card_is_left():
    swatches = [Swatch("hair", "#ff0000", "#0000ff", 3.0), Swatch("skin", "#00ff00", None, None)]
    for roles, there in ((ROLE_NAMES, 0), (ROLE_NAMES[:5], 1)):
        canvas = EmbeddingPlots(roles, "a film").draw(0.0, PIXELS, None, None, {}, swatches)[484:680, 940:]
        counts = [len(pixels_of(canvas, color)) for color in ((255, 0, 0), (0, 0, 255), (0, 255, 0))]
        assert [count > 1500 for count in counts] == [there] * 3
