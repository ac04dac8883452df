"""Faces in frames drawn anew."""

import cv2
import numpy as np
import pytest
import torch
from helpers.swapped import SIZE, draw_face, face_at, network, points_at
from torch import nn

from facemill.swap.color_transfer import SMOOTHING
from facemill.swap.converter import Converter


class Copying(nn.Module):
    """Draws what it sees, in other colors where `gain` is not 1."""

    size = SIZE

    def __init__(self, gain=1.0):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))

    def forward(self, images, side):
        return torch.cat([images * self.gain, torch.ones_like(images[:, :1])], 1)


def frame(width=120, height=90, seed=0):
    """A smooth frame, uint8 RGB."""
    noise = np.random.default_rng(seed).random((height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 12)
    return np.rint(60 + (smooth - smooth.min()) / np.ptp(smooth) * 120).astype(np.uint8)


@pytest.fixture
def in_float32(monkeypatch):
    monkeypatch.setattr("facemill.swap.converter.autocast", lambda: torch.autocast("cpu", enabled=False))


@pytest.mark.usefixtures("in_float32")
@pytest.mark.parametrize("turn", [0, 17])
@pytest.mark.parametrize("side", [20, 32, 50, 80])
def test_a_crop_put_back_is_the_frame(side, turn):
    """Faces smaller and larger than the network's."""
    pixels = frame()
    face = face_at(pixels, points_at(60, 45, side, turn))
    [converted] = Converter(Copying(), "b", color="none").convert([pixels], [face])
    assert converted.alpha.max() > 0.99
    assert np.abs(converted.pixels.astype(int) - pixels).max() <= 1
    assert np.abs(converted.crop.astype(int) - cv2.resize(face.image, (SIZE, SIZE))).mean() < 2


@pytest.mark.parametrize("blend", ["alpha", "poisson"])
@pytest.mark.parametrize("shape", [(120, 90), (121, 91)])
def test_pixels_outside_the_alpha_stay(shape, blend):
    pixels = draw_face(frame(*shape), points_at(60, 45, 50, 10))
    before, face = pixels.copy(), face_at(pixels, points_at(60, 45, 50, 10))
    [converted] = Converter(network(), "b", blend=blend).convert([pixels], [face])
    x0, y0, x1, y1 = converted.box
    assert converted.alpha.shape == (y1 - y0, x1 - x0)
    seen = np.zeros(pixels.shape[:2], bool)
    seen[y0:y1, x0:x1] = converted.alpha > 0
    assert (converted.pixels[~seen] == before[~seen]).all()
    assert (converted.pixels[seen] != before[seen]).any(-1).mean() > 0.6
    assert (pixels == before).all()


@pytest.mark.parametrize("blend", ["alpha", "poisson"])
@pytest.mark.parametrize("middle", [(4, 45), (60, 88), (119, 1)])
def test_a_face_that_leaves_the_frame_is_drawn_up_to_its_border(middle, blend):
    points = points_at(*middle, 50)
    pixels = draw_face(frame(), points)
    [converted] = Converter(network(), "b", blend=blend).convert([pixels], [face_at(pixels, points)])
    changed = (converted.pixels != pixels).any(-1)
    border = {4: changed[:, 0], 60: changed[-1], 119: changed[:, -1]}[middle[0]]
    assert border.sum() > 8


def test_a_face_beyond_the_frame_changes_nothing():
    pixels = frame()
    face = face_at(pixels, points_at(-60, 45, 50))
    [converted] = Converter(network(), "b").convert([pixels], [face])
    assert (converted.pixels == pixels).all()
    assert converted.alpha.size == 0 and converted.box == (0, 0, 0, 0)


@pytest.mark.usefixtures("in_float32")
@pytest.mark.parametrize("color", ["lab", "mean", "none"])
def test_a_black_frame(color):
    pixels = np.zeros((90, 120, 3), np.uint8)
    face = face_at(pixels, points_at(60, 45, 50))
    [converted] = Converter(Copying(), "b", color=color).convert([pixels], [face])
    assert converted.pixels.max() <= 1


@pytest.mark.usefixtures("in_float32")
def test_colors_are_those_of_the_frame():
    pixels = draw_face(frame(), points_at(60, 45, 60))
    face = face_at(pixels, points_at(60, 45, 60))
    differences = {}
    for color in ("lab", "mean", "none"):
        [converted] = Converter(Copying(0.7), "b", color=color).convert([pixels], [face])
        differences[color] = np.abs(converted.pixels.astype(int) - pixels).mean()
    assert differences["lab"] < 0.2 * differences["none"]
    assert differences["mean"] < 0.5 * differences["none"]


@pytest.mark.usefixtures("in_float32")
def test_colors_are_smoothed_within_a_track_alone():
    dark, bright = frame() // 2, frame()
    points = points_at(60, 45, 50)
    faces = [face_at(dark, points), face_at(bright, points), face_at(bright, points, track=1)]
    converter = Converter(Copying(0.7), "b")
    converter.convert([dark], faces[:1])
    first = converter.transfers[0].shift
    converter.convert([bright, bright], faces[1:])
    second, other = converter.transfers[0].shift, converter.transfers[1].shift
    assert np.abs(other - first).max() > 2
    assert np.allclose(second, SMOOTHING * first + (1 - SMOOTHING) * other, atol=1e-3)


def test_a_face_gives_the_same_bytes_whatever_others_are_with_it():
    frames = [draw_face(frame(seed=seed), points_at(60, 45, 40 + seed)) for seed in range(5)]
    faces = [face_at(pixels, points_at(60, 45, 40 + seed), track=seed) for seed, pixels in enumerate(frames)]
    together = Converter(network(), "b").convert(frames, faces)
    alone = [Converter(network(), "b").convert([f], [face])[0] for f, face in zip(frames, faces, strict=True)]
    assert all((a.pixels == b.pixels).all() for a, b in zip(together, alone, strict=True))


def test_each_side_has_its_decoder():
    pixels = frame()
    face = face_at(pixels, points_at(60, 45, 50))
    a, b = (Converter(network(), side).convert([pixels], [face])[0] for side in ("a", "b"))
    assert (a.crop != b.crop).any()
    assert (a.seen == face.mask).all()


def test_the_scale_is_that_of_a_drawn_pixel():
    face = face_at(frame(), points_at(60, 45, 64))
    assert Converter(network(), "b").scale(face) == pytest.approx(64 / SIZE)
