import cv2
import numpy as np
import pytest

from facemill.data.shards import decode_image, encode_jpeg
from facemill.imaging.phash import perceptual_hash
from facemill.ingest.drawing import draw
from facemill.ingest.find_duplicates import match_duplicates


def by_hand(hashes: np.ndarray, quality: np.ndarray, distance: int) -> dict[int, tuple[int, int]]:
    """The definition, row by row: the row that is repeated and the distance, for each that is left out."""
    kept: list[int] = []
    repeats: dict[int, tuple[int, int]] = {}
    first_row: dict[int, int] = {}  # of each hash
    for row in sorted(range(len(hashes)), key=lambda i: (-quality[i], i)):
        first = first_row.setdefault(int(hashes[row]), row)
        if first != row:
            repeats[row] = repeats.get(first, (first, 0))
            continue
        near = [(int(hashes[row] ^ hashes[k]).bit_count(), rank, k) for rank, k in enumerate(kept)]
        bits, _, best = min(near, default=(65, 0, 0))
        if bits <= distance:
            repeats[row] = (best, bits)
        else:
            kept.append(row)
    return repeats


@pytest.mark.parametrize("distance", [0, 1, 4, 8])
@pytest.mark.parametrize("seed", range(3))
def test_as_defined(distance: int, seed: int):
    random = np.random.default_rng(seed)
    hashes = random.integers(0, 2**64, 60, np.uint64).repeat(4)
    flips = random.integers(0, 64, (len(hashes), 6)).astype(np.uint64)
    for column in range(6):  # none to six bits of each differ
        hashes ^= np.where(random.random(len(hashes)) < 0.4, np.uint64(1) << flips[:, column], np.uint64(0))
    hashes[:5] = 0
    quality = random.integers(0, 5, len(hashes))
    repeats = match_duplicates([str(i) for i in range(len(hashes))], hashes, quality, distance)
    expected = by_hand(hashes, quality, distance)
    assert {int(row["id"]): (int(row["repeats"]), row["distance"]) for row in repeats.to_dicts()} == expected
    assert len(expected) > 2


def test_nothing_and_one():
    assert match_duplicates([], np.zeros(0, np.uint64), np.zeros(0), 4).is_empty()
    assert match_duplicates(["a"], np.zeros(1, np.uint64), np.zeros(1), 4).is_empty()


def test_hashes_stay_near_when_an_image_is_resized_and_compressed_and_part_when_it_is_another():
    images = [decode_image(draw(i, 1).image(256)) for i in range(12)]
    hashes = [perceptual_hash(image) for image in images]
    for image, image_hash in zip(images, hashes, strict=True):
        small = cv2.resize(image, (90, 90), interpolation=cv2.INTER_AREA)
        brighter = np.clip(image * 0.9 + 20, 0, 255).astype(np.uint8)
        for other in (small, decode_image(encode_jpeg(image, 40)), brighter):
            assert (perceptual_hash(other) ^ image_hash).bit_count() <= 4
    apart = [(a ^ b).bit_count() for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(apart) > 4 and np.median(apart) > 20
