"""Probes as taggers of images, and their file."""

import numpy as np
import pytest

from facemill.errors import UserError
from facemill.taggers.probes import THUMBNAIL, Probes, thumbnails
from facemill.taggers.tagger import TaggerInput


def mean_colors(images: list[np.ndarray]) -> np.ndarray:
    """Stands in for the VAE's encoder: the latent is the mean color, from -1 to 1."""
    return np.array([image.mean((0, 1)) / 127.5 - 1 for image in images])


@pytest.fixture
def probes() -> Probes:
    """Hair is red or blue, whichever channel is greater; a green mean is a smile."""
    tensors = {
        "hair_color.weight": np.float32([[0, 9], [0, 0], [9, 0]]),
        "hair_color.bias": np.zeros(2, np.float32),
        "smile.weight": np.float32([[0], [9], [0]]),
        "smile.bias": np.zeros(1, np.float32),
    }
    return Probes({"hair_color": ["blue_hair", "red_hair"]}, tensors, mean_colors)


def test_probes_read_attributes_from_the_latents_of_images(probes):
    portraits = [TaggerInput(np.full((4, 4, 3), color, np.uint8)) for color in ((255, 0, 0), (0, 200, 250))]
    latents = mean_colors([portrait.image for portrait in portraits])
    np.testing.assert_array_equal(probes.extract_feature(portraits), latents)
    np.testing.assert_array_equal(probes.probabilities(portraits), probes.feature_probabilities(latents))
    rows = probes.estimate_specific_tags(portraits, ["red_hair", "blue_hair", "smile"])
    assert [row["red_hair"] + row["blue_hair"] for row in rows] == pytest.approx([1, 1])
    assert [row["red_hair"] > 0.9 for row in rows] == [True, False]
    predictions = probes.predictions(portraits)
    assert predictions.keys() == {"hair_color", "smile"}
    np.testing.assert_array_equal(predictions["hair_color"], [1, 0])
    np.testing.assert_array_equal(predictions["smile"], [False, True])


def test_probes_are_stored_with_their_groups(probes, tmp_path):
    path = tmp_path / "probes.safetensors"
    probes.save(path)
    loaded = Probes.load(path, mean_colors)
    assert (loaded.groups, loaded.booleans) == (probes.groups, ["smile"])
    latents = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_array_equal(loaded.feature_probabilities(latents), probes.feature_probabilities(latents))
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match="probes.safetensors: not a readable file of probes"):
        Probes.load(path)


def test_thumbnails_have_one_form_for_images_of_every_size():
    images = [np.full((height, width, 3), (255, 0, 51), np.uint8) for height, width in ((64, 64), (128, 64), (8, 9))]
    features = thumbnails(images)
    assert (features.shape, features.dtype) == ((3, 3 * THUMBNAIL**2), np.float32)
    np.testing.assert_allclose(features, np.tile([1, 0, 0.2], (3, THUMBNAIL**2)), rtol=1e-6)
