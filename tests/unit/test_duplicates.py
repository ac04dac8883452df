"""Perceptual hashes: near-duplicates are found, others are not."""

import cv2
import numpy as np
import pytest

from facemill.duplicates import near_duplicates, perceptual_hash
from facemill.shards import decode_image, encode_jpeg


def picture(seed: int) -> np.ndarray:
    """Smooth noise, uint8 RGB (96, 96, 3)."""
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return cv2.resize(noise, (96, 96), interpolation=cv2.INTER_CUBIC)


CHANGES = {
    "jpeg": lambda image: decode_image(encode_jpeg(image, 40)),
    "small": lambda image: cv2.resize(image, (40, 40), interpolation=cv2.INTER_AREA),
    "bright": lambda image: np.clip(image * 0.85 + 20, 0, 255).astype(np.uint8),
    "cropped": lambda image: image[2:-2, 2:-2],
    "mirrored": lambda image: np.ascontiguousarray(image[:, ::-1]),
    "small mirrored": lambda image: cv2.resize(image, (48, 48))[:, ::-1].copy(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_images_are_found_among_others(change):
    images = [picture(seed) for seed in range(60)] + [CHANGES[change](picture(7))]
    assert near_duplicates([perceptual_hash(image) for image in images]) == [(7, 60)]


def test_the_hash_of_the_mirror_image_is_the_second():
    image = picture(1)
    assert perceptual_hash(image) != perceptual_hash(image)[::-1]
    own, mirrored = perceptual_hash(image), perceptual_hash(image[:, ::-1].copy())
    assert (own[1] ^ mirrored[0]).bit_count() <= 2 and (own[0] ^ mirrored[1]).bit_count() <= 2


def test_few_images_have_no_pairs():
    assert near_duplicates([]) == near_duplicates([perceptual_hash(picture(1))]) == []
