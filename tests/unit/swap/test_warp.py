"""Augmentation of faces: colors against scikit-image's, places, and what each face gets of its own."""

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab

from facemill.swap import warp
from facemill.swap.warp import from_lab, places, random_moves, random_warps, sample, shift_colors, to_lab

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def images() -> torch.Tensor:
    """Images without the finest detail, which no resampling keeps."""
    return torch.nn.functional.interpolate(torch.rand(6, 3, 8, 8), (64, 64), mode="bicubic").clamp(0, 1)


def test_colors_are_those_of_scikit_image_and_come_back(images):
    images[0, :, 0, 0], images[0, :, 0, 1] = 0, 1
    theirs = rgb2lab(images.permute(0, 2, 3, 1).numpy())
    assert np.allclose(to_lab(images).permute(0, 2, 3, 1).numpy(), theirs, atol=0.05)
    assert torch.allclose(from_lab(to_lab(images)), images, atol=1e-4)


def test_each_image_gets_colors_of_its_own_within_the_limits(images):
    images = 0.35 + 0.3 * images  # so that none is clipped
    change = to_lab(shift_colors(images)) - to_lab(images)
    ratio = (1 + change[:, 0] / to_lab(images)[:, 0]).flatten(1)
    assert (ratio.std(1) < 0.01).all() and ((ratio.mean(1) - 1).abs() <= warp.LIGHTNESS).all()
    assert ratio.mean(1).std() > 0.05
    for shift in (change[:, 1].flatten(1), change[:, 2].flatten(1)):
        assert (shift.std(1) < 0.1).all() and (shift.mean(1).abs() <= warp.CHROMA).all()
        assert shift.mean(1).std() > 1


def test_black_stays_black():
    assert shift_colors(torch.zeros(8, 3, 4, 4)).max() < 0.15


def test_an_image_that_is_not_moved_is_the_same(images):
    still = torch.tensor([(1.0, 0, 0), (0, 1, 0)]).repeat(6, 1, 1)
    assert torch.allclose(sample(images, places(still, 64)), images, atol=1e-5)


def test_moves_are_rotations_zooms_and_shifts_within_the_limits_and_half_are_mirrored():
    moves = random_moves(500, CPU)
    linear, scale = moves[:, :, :2], torch.linalg.det(moves[:, :, :2]).abs().sqrt()
    eye = torch.eye(2).expand(500, 2, 2)
    assert torch.allclose(linear @ linear.mT, scale[:, None, None] ** 2 * eye, atol=1e-5)
    assert 1 - warp.ZOOM <= scale.min() < 1 - 0.9 * warp.ZOOM and 1 + 0.9 * warp.ZOOM < scale.max() <= 1 + warp.ZOOM
    turns = torch.rad2deg(torch.atan2(-linear[:, 0, 1], linear[:, 1, 1]))
    assert -warp.TURN <= turns.min() < -0.9 * warp.TURN and 0.9 * warp.TURN < turns.max() <= warp.TURN
    shifts = moves[:, :, 2].abs()
    assert 1.8 * warp.SHIFT < shifts.max() <= 2 * warp.SHIFT  # places are 2 from edge to edge
    assert 0.4 < (torch.linalg.det(linear) < 0).float().mean() < 0.6


def test_a_mirrored_move_is_that_of_the_mirrored_image(images, monkeypatch):
    for name in ("TURN", "ZOOM", "SHIFT"):
        monkeypatch.setattr(warp, name, 0.0)
    moved = sample(images, places(random_moves(6, CPU), 64))
    mirrored = [torch.allclose(m, i.flip(2), atol=1e-5) for m, i in zip(moved, images, strict=True)]
    same = [torch.allclose(m, i, atol=1e-5) for m, i in zip(moved, images, strict=True)]
    assert any(mirrored) and any(same) and all(m or s for m, s in zip(mirrored, same, strict=True))


def test_warps_are_smooth_of_a_known_strength_and_others_for_each_image():
    warps = random_warps(400, 64, CPU)
    assert warps.shape == (400, 64, 64, 2) and abs(warps.mean()) < 0.002
    at_nodes = warps[:, [0, -1]][:, :, [0, -1]]  # the corners are nodes
    assert at_nodes.std().item() == pytest.approx(2 * warp.WARP, rel=0.1)
    second = warps.diff(n=2, dim=1).abs().max()
    assert second < 0.2 * warp.WARP  # of neighbors; of a rough field it is some four deviations
    assert not torch.equal(warps[0], warps[1])


def test_the_same_warp_at_another_size():
    warps = []
    for size in (32, 64):
        torch.manual_seed(1)
        warps.append(random_warps(1, size, CPU))
    small, large = warps
    assert torch.allclose(large[:, ::63, ::63], small[:, ::31, ::31], atol=1e-6)


def test_beyond_its_border_an_image_is_mirrored():
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    left = torch.tensor([(1.0, 0, -0.5), (0, 1, 0)])[None]  # two pixels to the left
    assert torch.allclose(sample(ramp, places(left, 8))[0, 0, 0], torch.tensor([1.0, 0, 0, 1, 2, 3, 4, 5]))
