"""Colors of drawn faces."""

import cv2
import numpy as np
import pytest

from facemill.swap.color_transfer import Transfer, color_transfer

REGION = np.ones((32, 32), bool)


def picture(seed=0, low=60, high=200):
    """A smooth picture without saturated colors, float32 RGB (32, 32, 3)."""
    noise = cv2.GaussianBlur(np.random.default_rng(seed).random((32, 32, 3)).astype(np.float32), (0, 0), 3)
    return low + (noise - noise.min()) / np.ptp(noise) * (high - low)


def lab(pixels):
    return cv2.cvtColor(pixels / 255, cv2.COLOR_RGB2LAB).reshape(-1, 3)


@pytest.mark.parametrize("color", ["lab", "mean"])
def test_a_picture_in_its_own_colors_is_itself(color):
    pixels = picture()
    transfer = color_transfer(pixels, pixels, REGION, color)
    assert np.abs(transfer(pixels) - pixels).max() < 1


def test_lab_gives_mean_and_deviation_and_mean_the_mean_alone():
    drawn, source = picture(0, 60, 160), picture(1, 80, 150)
    given = lab(color_transfer(drawn, source, REGION, "lab")(drawn))
    assert np.allclose(given.mean(0), lab(source).mean(0), atol=0.5)
    assert np.allclose(given.std(0), lab(source).std(0), atol=0.5)
    given = lab(color_transfer(drawn, source, REGION, "mean")(drawn))
    assert np.allclose(given.mean(0), lab(source).mean(0), atol=0.5)
    assert np.allclose(given.std(0), lab(drawn).std(0), atol=0.5)


def test_the_region_alone_counts():
    drawn, source = picture(0), picture(1)
    left = REGION & (np.arange(32) < 16)
    other = np.where(left[..., None], source, 255 - source)
    for a, b in zip(color_transfer(drawn, source, left, "lab"), color_transfer(drawn, other, left, "lab"), strict=True):
        assert (a == b).all()


def test_a_flat_face_does_not_become_one_of_noise():
    drawn = np.full((32, 32, 3), 120, np.float32) + np.random.default_rng(0).normal(0, 0.5, (32, 32, 3))
    drawn = drawn.astype(np.float32)
    given = color_transfer(drawn, picture(), REGION, "lab")(drawn)
    assert given.std() < 4


def test_a_region_without_a_color_and_none_give_no_change():
    few = np.zeros((32, 32), bool)
    few[0, :29] = True
    assert color_transfer(picture(), picture(1), few, "lab") is None
    assert color_transfer(picture(), picture(1), REGION, "none") is None


def test_a_change_follows_the_one_before_by_a_fifth():
    ones, zeros = np.ones(3, np.float32), np.zeros(3, np.float32)
    change = Transfer(zeros, ones, 10 * ones).after(Transfer(ones, 2 * ones, zeros))
    assert np.allclose(change.center, 0.8) and np.allclose(change.gain, 1.8) and np.allclose(change.shift, 2)
