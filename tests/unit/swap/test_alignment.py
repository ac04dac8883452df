"""The place of a face: similarities, crops and their inverse, smoothing over time."""

import cv2
import numpy as np
import pytest

from facemill.data.classes import IGNORE
from facemill.swap.alignment import POINTS, crop, jitter, paste_box, similarity, smooth, steady_parts, uncrop


def places(angle=0.0, side=80.0, left=50.0, top=40.0):
    """The points of a face whose crop has such a side and corner, turned about its corner by an angle in degrees."""
    turn = np.radians(angle)
    rotation = np.array([(np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))])
    return side * POINTS @ rotation.T + (left, top)


def smooth_picture(height=200, width=300):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.GaussianBlur(pixels, (0, 0), 4)


@pytest.mark.parametrize("angle", [0, 30, -100, 180])
def test_a_known_similarity_comes_back(angle):
    matrix = similarity(places(angle, side=57, left=-20))
    assert np.allclose(cv2.transform(places(angle, side=57, left=-20)[None], matrix)[0], POINTS)
    assert np.hypot(*matrix[:, 0]) == pytest.approx(1 / 57)


def test_a_similarity_is_the_nearest_one_and_never_mirrors():
    points = places() + np.array([(3, 0), (0, -2), (-4, 5)])
    best = similarity(points)

    def residue(matrix):
        return ((cv2.transform(points[None], matrix)[0] - POINTS) ** 2).sum()

    for change in np.eye(4):
        for step in (-1e-4, 1e-4):
            a, b, x, y = step * change
            other = best + np.array([(a, -b, x), (b, a, y)])
            assert residue(best) < residue(other)
    swapped = similarity(points[[1, 0, 2]])
    assert np.linalg.det(swapped[:, :2]) > 0


def test_points_that_are_one_have_no_similarity():
    with pytest.raises(ValueError, match="no similarity"):
        similarity(np.ones((3, 2)))


def test_a_crop_of_the_frames_own_pixels_is_a_slice():
    frame = smooth_picture()
    matrix = np.array([(1 / 64, 0, -(30 - 0.5) / 64), (0, 1 / 64, -(20 - 0.5) / 64)])  # pixel 30, 20 is the first
    assert (crop(frame, matrix, 64) == frame[20:84, 30:94]).all()
    halved = frame[20:84, 30:94].reshape(32, 2, 32, 2, 3).mean((1, 3))
    assert np.abs(crop(frame, matrix, 32) - halved).max() <= 1
    assert paste_box(matrix, 300, 200) == (30, 20, 94, 84)


def test_a_mask_keeps_its_ids_and_is_unknown_beyond_the_frame():
    mask = np.random.default_rng(0).choice([0, 6], (100, 100)).astype(np.uint8)
    cut = crop(mask, similarity(places(15, left=-30)), 70, nearest=True)
    assert cut.shape == (70, 70)
    assert set(np.unique(cut)) == {0, 6, IGNORE}
    assert set(np.unique(crop(mask, similarity(places(15, side=30)), 70, nearest=True))) == {0, 6}


@pytest.mark.parametrize(("angle", "size"), [(0, 160), (25, 160), (-70, 240)])
def test_a_crop_put_back_is_the_frame(angle, size):
    frame = smooth_picture()
    matrix = similarity(places(angle, left=120, top=90))
    x0, y0, x1, y1 = box = paste_box(matrix, 300, 200)
    back = uncrop(crop(frame, matrix, size), matrix, box)
    grid = np.stack(np.meshgrid(np.arange(x0, x1), np.arange(y0, y1)), -1) @ matrix[:, :2].T + matrix[:, 2]
    inside = ((grid > 0.03) & (grid < 0.97)).all(-1)
    assert back.dtype == np.float32
    assert np.abs(back - frame[y0:y1, x0:x1])[inside].max() <= 1


def test_a_fine_crop_is_averaged_when_it_is_put_back():
    checkered = np.indices((256, 256)).sum(0) % 2 * 255.0
    matrix = np.array([(1 / 16, 0, 0.5 / 16), (0, 1 / 16, 0.5 / 16)])
    back = uncrop(checkered.astype(np.uint8), matrix, (0, 0, 16, 16))
    assert back.shape == (16, 16)
    assert np.abs(back[1:-1, 1:-1] - 127.5).max() < 2


def test_a_crop_beyond_the_frame_has_no_box():
    assert paste_box(similarity(places(left=500)), 300, 200) is None
    assert paste_box(similarity(places(left=260.4, top=-10.4)), 300, 200) == (261, 0, 300, 70)


def test_smoothing_follows_a_nod_and_loses_trembling():
    time = np.arange(40)[:, None, None]
    nod = places()[None] + 0.05 * time**2
    trembling = nod + np.random.default_rng(0).normal(0, 1, nod.shape)
    assert np.allclose(smooth(nod), nod)
    assert jitter(smooth(trembling), 1) < 0.6 * jitter(trembling, 1)
    assert (smooth(nod[:4]) == nod[:4]).all()


def test_nothing_is_smoothed_across_a_jump():
    points = np.repeat(places()[None], 12, 0)
    points[7:] += 9
    assert steady_parts(points) == [slice(0, 7), slice(7, 12)]
    assert np.allclose(smooth(points), points)
    walk = places()[None] + 9.0 * np.arange(12)[:, None, None]
    assert steady_parts(walk) == [slice(0, 12)]


def test_jitter_is_the_size_of_second_differences():
    points = np.zeros((5, 3, 2))
    points[2, :, 0] = 1  # second differences 1, -2, 1
    assert jitter(points, 10) == pytest.approx(10 * np.sqrt(2))
    assert np.isnan(jitter(points[:2], 1))
