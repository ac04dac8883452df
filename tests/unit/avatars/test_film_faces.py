"""The face of a film: found in frames of any shape, followed, lost and found again."""

import cv2
import numpy as np
import pytest
from helpers.color_unet import COLORS, ColorUnet
from helpers.painted_faces import draw, empty

from facemill.avatars.film_faces import FaceFollower
from facemill.data.classes import IGNORE, ROLES, SEVEN
from facemill.inference.segmenter import Segmenter


def follower():
    return FaceFollower(Segmenter(ColorUnet().eval(), SEVEN))


@pytest.mark.parametrize(
    ("shape", "place"),
    [
        ((360, 640), (500, 200, 150)),
        ((640, 360), (150, 450, 120)),
        ((256, 256), (128, 140, 120)),
        ((300, 900), (70, 150, 90)),
    ],
)
def test_a_face_is_found_in_frames_of_any_shape(shape, place):
    face = follower().follow(draw(empty(*shape), *place))
    left, top, side = face.square
    assert side == pytest.approx(2 * place[2], rel=0.1)
    assert left + side / 2 == pytest.approx(place[0], abs=0.1 * side)
    assert top + side * 0.55 == pytest.approx(place[1], abs=0.1 * side)
    assert (face.mask == ROLES.index("eye")).sum() > 100


@pytest.mark.parametrize("frame", [empty(), empty(1, 1), empty(5, 5), empty(2, 400), np.zeros((99, 33, 3), np.uint8)])
def test_frames_without_a_face_have_none(frame):
    assert follower().follow(frame) is None


def test_a_face_without_eyes_is_none():
    assert follower().follow(draw(empty(), 300, 180, 150, eyes=False)) is None


def test_the_square_of_a_still_face_stands_still_and_follows_a_moving_one():
    films = follower()
    still = [films.follow(draw(empty(), 200, 200, 140)).square for _ in range(5)]
    assert len(set(still)) == 1
    moving = [films.follow(draw(empty(), 200 + 6 * i, 200, 140)).square for i in range(40)]
    assert moving[-1][0] - moving[0][0] == pytest.approx(6 * 39, abs=0.1 * moving[0][2])


def test_a_face_that_jumps_is_found_where_it_is():
    films = follower()
    films.follow(draw(empty(), 120, 200, 100))
    face = films.follow(draw(empty(), 520, 200, 100)) or films.follow(draw(empty(), 520, 200, 100))
    assert face.square[0] + face.square[2] / 2 == pytest.approx(520, abs=20)


def test_a_face_that_goes_is_lost_and_found_again():
    films, frame = follower(), draw(empty(), 300, 180, 150)
    faces = [films.follow(f) for f in (frame, empty(), empty(), frame)]
    assert [face is not None for face in faces] == [True, False, False, True]


def test_the_largest_face_is_found_and_stays_the_followed_one():
    films = follower()
    both = draw(draw(empty(), 150, 180, 130), 480, 180, 90)
    assert films.follow(both).square[0] < 150
    larger = draw(draw(empty(), 150, 180, 130), 480, 180, 160)
    assert films.follow(larger).square[0] < 150


def test_beyond_the_frame_is_no_class():
    face = follower().follow(draw(empty(), 40, 180, 150))
    beyond = round(-face.square[0] / face.square[2] * face.mask.shape[1])
    assert beyond > 20
    assert (face.mask[:, : beyond - 1] == IGNORE).all()
    assert (face.mask[:, beyond + 1 :] != IGNORE).any()


def test_a_doubtful_face_is_let_go():
    films, frame = follower(), draw(empty(), 300, 180, 150)
    films.follow(frame)
    doubtful = frame.copy()
    cv2.circle(doubtful, (330, 168), 16, COLORS[ROLES.index("face")].tolist(), -1)  # one eye is left
    assert follower().follow(doubtful) is None
    faces = [films.follow(doubtful) is not None for _ in range(40)]
    assert faces[0]
    assert not faces[-1]
