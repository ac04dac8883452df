"""The segmenter: flip TTA, masks of portraits and of pictures of any size."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from helpers.scenes import THREE
from PIL import Image

from facemill.data.classes import SEVEN
from facemill.errors import UserError
from facemill.imaging.figures import colorize
from facemill.inference.segmenter import BATCH, Segmenter, letterbox, unletterbox


@pytest.fixture
def by_color(painter) -> Segmenter:
    return Segmenter(painter, SEVEN)


def test_logits_are_those_of_the_images_between_0_and_1(by_color, scene):
    masks = [scene(seed, 64, 64) for seed in range(3)]
    logits = by_color.logits([colorize(mask, SEVEN) for mask in masks])
    assert logits.shape == (3, 7, 64, 64)
    assert logits.dtype == torch.float32
    assert (logits.argmax(1).numpy() == masks).all()


def test_a_flipped_image_has_the_flipped_logits(models):
    segmenter = Segmenter.load(models[2])
    images = np.random.default_rng(0).integers(0, 256, (2, segmenter.size, segmenter.size, 3), np.uint8)
    logits = segmenter.logits(images)
    assert torch.allclose(segmenter.logits(images[:, :, ::-1]), logits.flip(3), atol=0.02)
    without_tta = segmenter.unet(torch.from_numpy(images).permute(0, 3, 1, 2).to(segmenter.device) / 255)
    assert not torch.allclose(without_tta, logits, atol=0.02)


def test_masks_are_those_of_tta_in_the_images_order(models):
    segmenter = Segmenter.load(models[2])
    images = np.random.default_rng(0).integers(0, 256, (BATCH + 2, segmenter.size, segmenter.size, 3), np.uint8)
    masks = segmenter.masks(images)
    assert (masks.dtype, masks.shape) == (np.uint8, images.shape[:3])
    assert (masks == segmenter.masks(images[:, :, ::-1])[:, :, ::-1]).mean() > 0.99
    assert (masks[-2:] == segmenter.masks(images[-2:])).mean() > 0.99


def test_a_segmenter_knows_its_table_and_refuses_another(models):
    assert Segmenter.load(models[2].parent, SEVEN).classes == SEVEN
    with pytest.raises(UserError, match="accepted: around, head, hat"):
        Segmenter.load(models[2], THREE)


@pytest.mark.parametrize(("width", "height"), [(640, 480), (100, 300), (64, 64), (40, 30), (1000, 20), (1, 1)])
def test_masks_have_the_pictures_size(by_color, scene, width, height):
    truth = scene(1, height, width)
    with ThreadPoolExecutor(1) as pool:
        [(name, mask)] = by_color.predict(["a"], lambda _: Image.fromarray(colorize(truth, SEVEN)), pool)
    assert (name, mask.shape) == ("a", (height, width))
    blurred = max(width, height) / 64 * 2 / min(width, height)  # a band along the discs' edges
    assert np.mean(mask == truth) > 1 - max(0.05, blurred)


def test_letterboxes_are_padded_by_reflection(scene):
    picture = colorize(scene(2, 40, 80), SEVEN)
    square, box = letterbox(Image.fromarray(picture), 80)
    assert box == (0, 20, 80, 40, 80, 40)
    assert (square[20:60] == picture).all()
    assert (square[:20] == picture[19::-1]).all()
    assert (square[60:] == picture[:19:-1]).all()


def test_logits_are_resized_before_the_argmax():
    logits = torch.randn(1, 7, 32, 32, generator=torch.Generator().manual_seed(0))
    _, box = letterbox(Image.new("RGB", (96, 96)), 32)
    large = torch.nn.functional.interpolate(logits, size=(96, 96), mode="bilinear").argmax(1)[0]
    mask = unletterbox(logits[0].numpy(), box)
    assert np.mean(mask == large.numpy()) > 0.9999
    assert np.mean(mask == logits[0].argmax(0).numpy().repeat(3, 0).repeat(3, 1)) < 0.99


def test_unreadable_pictures_come_with_their_reason_and_stop_nothing(by_color, scene):
    truth = scene(3, 64, 64)

    def read(i: int) -> Image.Image:
        if i % 3 == 0 or 40 <= i < 80:
            raise ValueError(f"broken {i}")
        return Image.fromarray(colorize(truth, SEVEN))

    with ThreadPoolExecutor(2) as pool:
        done = list(by_color.predict(range(100), read, pool))
    assert [i for i, _ in done] == list(range(100))
    for i, result in done:
        if i % 3 == 0 or 40 <= i < 80:
            assert str(result) == f"broken {i}"
        else:
            assert (result == truth).all()
