import numpy as np

from facemill.avatars.descriptors import (
    DIMENSIONS,
    GRAY,
    GRID,
    PROPORTIONS,
    SILHOUETTE,
    describe,
    geometry,
    mirrored,
    shrink,
)


def test_descriptor_is_the_mean_of_looks_and_does_not_know_brightness_and_contrast():
    rng = np.random.default_rng(0)
    looks = rng.random((2 * GRID, GRID, 2), np.float32)
    brighter = looks.copy()
    looks[..., 1] *= 50
    brighter[..., 1] = 100 + 2 * looks[..., 1]
    proportions = np.arange(5, dtype=np.float32)
    descriptor = describe(looks, proportions)
    assert descriptor.shape == (DIMENSIONS,) and descriptor.dtype == np.float32
    np.testing.assert_allclose(describe(brighter, proportions), descriptor, atol=1e-4)
    np.testing.assert_allclose(
        descriptor[SILHOUETTE].reshape(GRID, GRID), (looks[:GRID, :, 0] + looks[GRID:, :, 0]) / 2, atol=1e-6
    )
    np.testing.assert_array_equal(descriptor[PROPORTIONS], proportions)


def test_a_plain_square_has_no_gray_values():
    looks = np.full((GRID, GRID, 2), 0.5, np.float32)
    assert not describe(looks, np.zeros(5, np.float32))[GRAY].any()


def test_cells_are_means_of_four_pixels():
    looks = np.random.default_rng(0).random((4 * GRID, 2 * GRID, 2), np.float32)
    np.testing.assert_allclose(shrink(looks)[0, 0], looks[:2, :2].mean((0, 1)), atol=1e-6)
    np.testing.assert_allclose(shrink(looks)[-1, 3], looks[-2:, 6:8].mean((0, 1)), atol=1e-6)


def test_proportions_by_hand():
    numbers = geometry((10, 20, 30, 30), 150, (0, 0, 40, 50))
    np.testing.assert_allclose(numbers, [np.log(2), np.log(0.5), np.log(0.25), 0.75, 0.5], atol=1e-6)


def test_a_mirror_image_mirrored_is_the_part_again():
    rows = np.random.default_rng(0).random((3, DIMENSIONS)).astype(np.float32)
    turned = mirrored(rows)
    np.testing.assert_array_equal(mirrored(turned), rows)
    np.testing.assert_array_equal(turned[:, PROPORTIONS], rows[:, PROPORTIONS])
    for block in (SILHOUETTE, GRAY):
        grids = rows[:, block].reshape(-1, GRID, GRID)
        np.testing.assert_array_equal(turned[:, block].reshape(-1, GRID, GRID), grids[:, :, ::-1])
