"""The metrics against hand-counted masks, published code and synthetic faults."""

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from facemill.data.classes import IGNORE
from facemill.metrics import segmentation as metrics

CLASSES = 7
BACKGROUND, SKIN, FACE, EYE, MOUTH, HAIR, CLOTHES = range(CLASSES)


def disc(size: int, y: float, x: float, radius: float) -> np.ndarray:
    ys, xs = np.mgrid[:size, :size]
    return (ys - y) ** 2 + (xs - x) ** 2 < radius**2


def random_scene(random: np.random.Generator, size: int) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    for c in range(1, CLASSES):
        mask[disc(size, *random.uniform(0, size, 2), random.uniform(0.05, 0.3) * size)] = c
    return mask


def test_confusion_counts_pixels_by_truth_and_prediction():
    truth = np.array([[0, 0, HAIR], [HAIR, HAIR, FACE]], np.uint8)
    prediction = np.array([[0, HAIR, HAIR], [HAIR, FACE, FACE]], np.uint8)
    counts = metrics.confusion(prediction, truth, CLASSES)
    assert counts.sum() == 6
    assert (counts[0, 0], counts[0, HAIR], counts[HAIR, HAIR], counts[HAIR, FACE]) == (1, 1, 2, 1)
    iou = metrics.iou(counts)
    assert iou[[0, HAIR, FACE]] == pytest.approx([1 / 2, 2 / 4, 1 / 2])
    assert np.isnan(iou[[SKIN, EYE, CLOTHES]]).all()
    assert np.nanmean(iou) == pytest.approx(0.5)


def test_a_class_predicted_but_absent_counts_as_zero():
    counts = metrics.confusion(np.array([[0, EYE]], np.uint8), np.array([[0, 0]], np.uint8), CLASSES)
    assert metrics.iou(counts)[EYE] == 0


def test_ignored_pixels_count_nowhere():
    random = np.random.default_rng(0)
    truth, prediction = random_scene(random, 48), random_scene(random, 48)
    truth[10:30, 10:30] = IGNORE
    changed = prediction.copy()
    changed[12:28, 12:28] = CLOTHES  # within the ignored pixels, farther from their edge than a band is wide
    for metric in (metrics.confusion, metrics.boundary):
        assert (metric(prediction, truth, CLASSES) == metric(changed, truth, CLASSES)).all()
    assert metrics.specks(changed, truth) <= metrics.specks(prediction, truth)


def published_boundary(mask: np.ndarray, distance: int) -> np.ndarray:
    """`mask_to_boundary` as in github.com/bowenc0221/boundary-iou-api: erosions by a 3 x 3 square."""
    padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    return mask - cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=distance)[1:-1, 1:-1]


def test_the_boundary_has_2_percent_of_the_diagonal():
    widths = {size: metrics.boundary_width(size, size) for size in (16, 64, 128, 256, 512)}
    assert widths == {16: 1, 64: 2, 128: 4, 256: 7, 512: 14}
    assert metrics.boundary_width(512, 256) == 11


def test_boundary_iou_of_an_enlarged_mask_is_the_same():
    random = np.random.default_rng(3)
    truth = random_scene(random, 128)
    prediction = np.roll(truth, 2, 1)
    larger = [mask.repeat(4, 0).repeat(4, 1) for mask in (prediction, truth)]
    assert metrics.ratio(metrics.boundary(*larger, CLASSES)) == pytest.approx(
        metrics.ratio(metrics.boundary(prediction, truth, CLASSES)), abs=0.08, nan_ok=True
    )


@pytest.mark.parametrize(("size", "distance"), [(32, 1), (64, 2), (128, 4)])
def test_boundary_counts_are_those_of_the_published_code(size, distance):
    random = np.random.default_rng(distance)
    truth, prediction = random_scene(random, size), random_scene(random, size)
    counts = metrics.boundary(prediction, truth, CLASSES)
    for c in range(CLASSES):
        t = published_boundary((truth == c).astype(np.uint8), distance)
        p = published_boundary((prediction == c).astype(np.uint8), distance)
        assert counts[c].tolist() == [(t & p).sum(), (t | p).sum()]


def test_boundary_iou_falls_with_a_shift_that_iou_barely_shows():
    truth = np.where(disc(96, 48, 48, 30), FACE, 0).astype(np.uint8)
    shifted = np.roll(truth, 3, 1)
    assert np.nanmean(metrics.ratio(metrics.boundary(truth, truth, CLASSES))) == 1
    assert np.nanmean(metrics.iou(metrics.confusion(shifted, truth, CLASSES))) > 0.9
    assert np.nanmean(metrics.ratio(metrics.boundary(shifted, truth, CLASSES))[FACE]) < 0.5


def test_specks_are_pieces_without_any_true_pixel():
    truth = np.zeros((20, 20), np.uint8)
    truth[5:15, 5:15] = FACE
    prediction = truth.copy()
    assert metrics.specks(prediction, truth) == 0
    prediction[1, 1] = prediction[2, 2] = HAIR  # one piece: they meet at a corner
    prediction[18, 3] = HAIR
    prediction[18, 10] = FACE  # its class is in the truth, but not here
    prediction[14:17, 10] = FACE  # reaches into the truth
    prediction[10, 10] = 0  # a hole is a stray piece of background
    assert metrics.specks(prediction, truth) == 4
    truth[18, 3] = IGNORE
    assert metrics.specks(prediction, truth) == 3


def smooth_logits(random: np.random.Generator, size: int, noise: float = 0.2) -> np.ndarray:
    mask = random_scene(random, size)
    planes = [cv2.GaussianBlur(10 * (mask == c).astype(np.float32), (0, 0), 1) for c in range(CLASSES)]
    return np.stack(planes) + noise * random.standard_normal((CLASSES, size, size))


@pytest.mark.parametrize("size", [64, 128])
def test_checkerboard_rises_with_a_synthetic_one(size):
    logits = smooth_logits(np.random.default_rng(1), size)
    signs = np.array([1, -1, 1, -1, 1, -1, 0])[:, None, None]
    ys, xs = np.mgrid[:size, :size]
    clean = metrics.checkerboard(logits)
    assert 0.8 < clean < 1.2
    for pattern in ((ys + xs) % 2, xs % 2, ys % 2, xs % 4 < 1):
        faint, strong = (metrics.checkerboard(logits + a * signs * pattern) for a in (0.2, 1))
        assert 1.2 * clean < faint < strong
        assert strong > 10
    assert metrics.checkerboard(logits + 5 * ((ys + xs) % 2)) == pytest.approx(clean)  # a softmax does not depend on it


def test_checkerboard_is_high_for_transposed_convolutions_and_not_for_upsampling():
    torch.manual_seed(2)
    small = torch.from_numpy(smooth_logits(np.random.default_rng(2), 32)).float()
    transposed = nn.Sequential(nn.ConvTranspose2d(7, 16, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(16, 7, 3, 2, 1, 1))
    upsampled = nn.Sequential(
        nn.Upsample(scale_factor=2), nn.Conv2d(7, 16, 3, padding=1), nn.ReLU(),
        nn.Upsample(scale_factor=2), nn.Conv2d(16, 7, 3, padding=1),
    )  # fmt: skip
    with torch.no_grad():
        assert metrics.checkerboard(transposed(small).numpy()) > 10
        assert metrics.checkerboard(upsampled(small).numpy()) < 1.5


def test_checkerboard_of_even_logits_is_one():
    assert metrics.checkerboard(np.zeros((7, 64, 64), np.float32)) == pytest.approx(1)
