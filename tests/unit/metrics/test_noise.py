"""Noise of portraits: high frequencies inside regions, beside real ones, and checkerboards."""

import numpy as np
import pytest

from facemill.data.classes import SEVEN
from facemill.imaging.colors import REGIONS
from facemill.metrics.noise import ROUNDING, checkerboards, high_frequencies, noise_figures

HAIR, CLOTHES = SEVEN.names.index("hair"), SEVEN.names.index("clothes")
MASK = np.full((64, 64), HAIR, np.uint8)
MASK[40:] = CLOTHES
FLAT = np.full((64, 64, 3), 60, np.uint8)
FLAT[40:] = 200


def striped() -> np.ndarray:
    """The flat portrait with some dark strands in the hair."""
    image = FLAT.copy()
    image[:40, ::16] = 0
    return image


def noisy(image: np.ndarray, strength: float) -> np.ndarray:
    """A portrait with noise in the hair."""
    values = image.astype(float)
    values[:40] += np.random.default_rng(0).normal(0, strength, (40, 64, 1))
    return values.clip(0, 255).astype(np.uint8)


def energies(image: np.ndarray) -> np.ndarray:
    return high_frequencies(image[None], MASK[None], SEVEN)[None]


def test_a_border_between_regions_is_no_noise():
    assert energies(FLAT)[~np.isnan(energies(FLAT))] == pytest.approx(np.zeros(4), abs=1e-6)


def test_strands_are_texture_and_what_lies_between_them_is_noise():
    real, lines = energies(noisy(striped(), 2)), list(REGIONS).index("hair")
    assert real[0, 0, lines, 0] > 5 * real[0, 0, lines, 1]
    hair = noise_figures(energies(noisy(FLAT, 8)), real)["hair"]  # noise in place of strands
    assert hair["texture"] < 1 < 5 < hair["noise"]
    assert noise_figures(real, real)["hair"] == {"texture": 1, "noise": 1}


def test_regions_that_no_mask_has_are_left_out_and_flat_ones_compare_with_rounding():
    painted = energies(noisy(FLAT, 8))
    figures = noise_figures(painted, energies(FLAT))
    assert list(figures) == ["hair", "clothes"] and figures["clothes"]["noise"] < 0.01
    assert figures["hair"]["texture"] == pytest.approx(painted[0, 0, 0, 0] / ROUNDING)


def test_a_region_of_few_pixels_does_not_count():
    mask = np.full((64, 64), HAIR, np.uint8)
    mask[:9, :9] = CLOTHES  # 7 x 7, of which the blur leaves 5 x 5 alone at an edge
    figures = high_frequencies(noisy(FLAT, 8)[None], mask[None], SEVEN)[0]
    assert [name for name, row in zip(REGIONS, figures, strict=True) if not np.isnan(row).any()] == ["hair", "clothes"]
    mask[6:9] = mask[:, 6:9] = HAIR
    assert np.isnan(high_frequencies(FLAT[None], mask[None], SEVEN)[0, list(REGIONS).index("clothes")]).all()


@pytest.mark.parametrize("shape", [(64, 64), (128, 64)])
def test_a_checkerboard_is_seen_in_lightness(shape):
    random = np.random.default_rng(0)
    smooth = np.repeat(np.repeat(random.uniform(60, 200, (shape[0] // 8, shape[1] // 8)), 8, 0), 8, 1)
    for _ in range(3):
        smooth = (smooth + np.roll(smooth, 3, 0) + np.roll(smooth, 3, 1) + np.roll(smooth, (3, 3), (0, 1))) / 4
    plain = np.stack([smooth] * 3, -1).astype(np.uint8)
    ys, xs = np.mgrid[: shape[0], : shape[1]]
    patterned = (plain + 8 * ((ys + xs) % 2)[..., None]).astype(np.uint8)
    without, with_pattern = checkerboards(np.stack([plain, patterned]))
    assert without < 2 and with_pattern > 3 * without
