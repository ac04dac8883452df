"""Perceptual hashes: near-duplicates are found, others are not."""

import cv2
import numpy as np
import pytest

from facemill.data.shards import decode_image, encode_jpeg
from facemill.imaging.phash import near_duplicates, perceptual_hash


def picture(seed: int) -> np.ndarray:
    """Smooth noise, uint8 RGB (96, 96, 3)."""
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return cv2.resize(noise, (96, 96), interpolation=cv2.INTER_CUBIC)


CHANGES = {
    "jpeg": lambda image: decode_image(encode_jpeg(image, 40)),
    "small": lambda image: cv2.resize(image, (40, 40), interpolation=cv2.INTER_AREA),
    "bright": lambda image: np.clip(image * 0.85 + 20, 0, 255).astype(np.uint8),
    "captioned": lambda image: cv2.putText(image.copy(), "A", (84, 92), cv2.FONT_HERSHEY_PLAIN, 0.7, (99, 99, 99)),
    "mirrored": lambda image: np.ascontiguousarray(image[:, ::-1]),
    "small mirrored": lambda image: cv2.resize(image, (48, 48))[:, ::-1].copy(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_images_are_found_among_others(change):
    images = [picture(seed) for seed in range(60)] + [CHANGES[change](picture(7))]
    assert near_duplicates(images) == [(7, 60)]


def test_the_hash_says_how_alike_images_are():
    first = perceptual_hash(picture(1))
    assert perceptual_hash(picture(1)) == first < 2**64
    assert (first ^ perceptual_hash(CHANGES["jpeg"](picture(1)))).bit_count() <= 4
    assert (first ^ perceptual_hash(picture(2))).bit_count() > 16


def test_few_images_have_no_pairs():
    assert near_duplicates([]) == near_duplicates([picture(1)]) == []
