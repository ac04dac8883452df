"""Masks of drawn faces, and faces put into frames."""

import cv2
import numpy as np
import pytest

from facemill.data.classes import IGNORE, SEVEN
from facemill.swap.blending import blend_face, face_alpha

SIDE = 128
[SKIN], [FACE], [EYE], [MOUTH], [HAIR] = map(SEVEN.role_ids, ("skin", "face", "eye", "mouth", "hair"))
DRAWN = np.ones((SIDE, SIDE), np.float32)


def mask_of_face():
    """A face of three classes before hair, uint8 (128, 128)."""
    mask = np.full((SIDE, SIDE), HAIR, np.uint8)
    cv2.ellipse(mask, (64, 64), (40, 50), 0, 0, 360, FACE, -1)
    cv2.circle(mask, (50, 54), 6, EYE, -1)
    cv2.ellipse(mask, (64, 92), (14, 6), 0, 0, 360, MOUTH, -1)
    return mask


def test_the_border_fades_inwards_by_the_feather():
    mask = mask_of_face()
    alpha = face_alpha(mask, DRAWN, 0.1)
    assert alpha.dtype == np.float32
    face = mask != HAIR
    assert (alpha[~cv2.dilate(face.astype(np.uint8), np.ones((3, 3))).astype(bool)] == 0).all()
    depth = cv2.distanceTransform(face.astype(np.uint8), cv2.DIST_L2, 5)
    assert (alpha[depth > 0.1 * SIDE + 2] == 1).all() and (alpha[depth > 1] > 0).all()
    middle = alpha[64, :64]
    assert (np.diff(middle) >= 0).all() and np.diff(middle).max() < 0.15


def test_hair_and_hands_in_front_stay():
    mask = mask_of_face()
    mask[:, 60:70] = SKIN
    assert (face_alpha(mask, DRAWN, 0.06)[:, 60:70] == 0).all()


def test_what_is_not_drawn_stays():
    drawn = DRAWN.copy()
    drawn[80:] = 0.4
    alpha = face_alpha(mask_of_face(), drawn, 0.06)
    assert (alpha[81:] == 0).all() and alpha[60, 64] == 1


def test_spots_go_and_gaps_are_closed():
    mask = mask_of_face()
    mask[4:6, 4:6] = FACE
    mask[64, 64] = HAIR
    alpha = face_alpha(mask, DRAWN, 0.06)
    assert (alpha[:8, :8] == 0).all() and alpha[64, 64] == 1


def test_a_face_fades_at_the_crops_border_and_not_at_the_frames():
    mask = np.full((SIDE, SIDE), FACE, np.uint8)
    alpha = face_alpha(mask, DRAWN, 0.06)
    assert alpha[[0, -1]].max() == alpha[:, [0, -1]].max() == 0
    mask[:, :40] = IGNORE
    alpha = face_alpha(mask, DRAWN, 0.06)
    assert (alpha[20:-20, 40:100] == 1).all() and alpha[:, -1].max() == 0


@pytest.mark.parametrize("mask", [np.full((SIDE, SIDE), HAIR, np.uint8), np.full((SIDE, SIDE), IGNORE, np.uint8)])
def test_masks_without_a_face(mask):
    assert not face_alpha(mask, DRAWN, 0.06)[mask != IGNORE].any()


def frame():
    return np.random.default_rng(0).integers(0, 256, (90, 120, 3)).astype(np.uint8)


@pytest.mark.parametrize("blend", ["alpha", "poisson"])
def test_nothing_outside_the_mask_changes(blend):
    before = frame()
    pixels, alpha = before.copy(), np.zeros((50, 60), np.float32)
    cv2.ellipse(alpha, (30, 25), (20, 15), 0, 0, 360, 1, -1)
    patch = 255 - before[20:70, 30:90].astype(np.float32)
    blend_face(pixels, patch, alpha, (30, 20, 90, 70), blend)
    changed = (pixels != before).any(-1)
    assert not changed[20:70, 30:90][alpha == 0].any()
    changed[20:70, 30:90] = False
    assert not changed.any()
    assert (pixels[20:70, 30:90][alpha == 1] != before[20:70, 30:90][alpha == 1]).any()


def test_alpha_mixes_in_proportion():
    pixels, alpha = np.full((4, 4, 3), 100, np.uint8), np.full((2, 2), 0.25, np.float32)
    blend_face(pixels, np.full((2, 2, 3), 200, np.float32), alpha, (1, 1, 3, 3), "alpha")
    assert (pixels[1:3, 1:3] == 125).all() and (pixels[0] == 100).all()


@pytest.mark.parametrize("corner", [(0, 0), (60, 40)])
def test_poisson_keeps_a_patch_in_its_place_and_removes_its_shift(corner):
    """At the frame's corners, too, where the mask touches the border."""
    x, y = corner
    before = cv2.GaussianBlur(frame(), (0, 0), 4) // 2 + 60
    patch = before[y : y + 50, x : x + 60].astype(np.float32) + 40
    pixels, alpha = before.copy(), np.ones((50, 60), np.float32)
    blend_face(pixels, patch, alpha, (x, y, x + 60, y + 50), "poisson")
    error = np.abs(pixels.astype(int) - before)[y : y + 50, x : x + 60]
    assert np.median(error) <= 2


def test_a_fading_border_lies_between_both_in_poisson_too():
    before = np.full((60, 60, 3), 150, np.uint8)
    patch, alpha = np.full((40, 40, 3), 90, np.float32), np.zeros((40, 40), np.float32)
    alpha[10:30, 10:30], alpha[14:26, 14:26] = 0.3, 1
    patch[11:20, 18:22] = 40
    pixels = before.copy()
    blend_face(pixels, patch, alpha, (10, 10, 50, 50), "poisson")
    assert pixels.min() >= 90 and pixels.max() <= 170


@pytest.mark.parametrize("size", [(0, 0), (1, 1), (2, 30), (30, 2)])
def test_poisson_takes_masks_without_an_inside(size):
    pixels, alpha = frame(), np.zeros((50, 60), np.float32)
    alpha[5 : 5 + size[0], 5 : 5 + size[1]] = 1
    before = pixels.copy()
    blend_face(pixels, np.full((50, 60, 3), 50, np.float32), alpha, (10, 10, 70, 60), "poisson")
    assert (pixels[10:60, 10:70][alpha > 0] == 50).all()
    assert (pixels[10:60, 10:70][alpha == 0] == before[10:60, 10:70][alpha == 0]).all()
