"""Extractors: the numbers that they make of parts, and how far parts are from each other."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from segmentation_models_pytorch.encoders import get_encoder

from facemill.avatars.descriptors import DIMENSIONS, SILHOUETTE
from facemill.avatars.extractors import NetworkExtractor, Raw, load_extractor, picture_of
from facemill.avatars.regions import CROP, Part
from facemill.errors import UserError
from facemill.networks.part_autoencoder import CODE, PartAutoencoder
from facemill.networks.store import save_model


def part(color: tuple[int, int, int], covered: int = CROP) -> Part:
    """A part of one color that covers the upper rows of its square."""
    crop = np.zeros((CROP, CROP, 4), np.uint8)
    crop[..., :3], crop[:covered, :, 3] = color, 255
    descriptor = np.full(DIMENSIONS, sum(color) / 255, np.float32)
    return Part(crop, descriptor, None, None)


RED, BLUE, HALF = part((255, 0, 0)), part((0, 0, 255)), part((255, 0, 0), CROP // 2)


@pytest.fixture
def encoders(tmp_path):
    """Paths of weights for each network, random."""
    torch.manual_seed(0)
    save_model(tmp_path / "autoencoder.safetensors", PartAutoencoder(kind="fixed"), {"kind": "fixed"}, {})
    save_file(get_encoder("mobilenet_v2", weights=None).state_dict(), tmp_path / "mobilenet_v2.safetensors")
    return {name: tmp_path / f"{name}.safetensors" for name in ("autoencoder", "mobilenet_v2")}


def test_networks_see_what_the_mask_covers_over_white():
    picture = picture_of(HALF.crop, 306)
    assert picture.shape == (306, 306, 3)
    assert picture[100].tolist() == [[255, 0, 0]] * 306
    assert picture[200].tolist() == [[255, 255, 255]] * 306


@pytest.mark.parametrize("size", [32, 224])
def test_a_part_of_one_color_keeps_it_at_every_size(size):
    assert (picture_of(BLUE.crop, size) == [0, 0, 255]).all()


def test_raw_is_the_cosine_of_pixels():
    raw = Raw()
    queries, library = raw.describe([RED, HALF]), raw.describe([RED, BLUE, HALF])
    half = 1 / np.sqrt(2 * 2)  # a red half and a white half, whose length is sqrt((1 + 3) / 2), against red
    expected = [[0, 1, 1 - 1 / np.sqrt(2)], [1 - 1 / np.sqrt(2), 1 - half / np.sqrt(2), 0]]
    assert np.allclose(raw.distances(queries, library), expected, atol=1e-3)


def test_a_code_of_zeros_is_like_no_other():
    distances = Raw().distances(np.zeros((1, 8), np.float32), np.eye(8, dtype=np.float32))
    assert distances.tolist() == [[1.0] * 8]


@pytest.mark.parametrize(("name", "dimensions"), [("autoencoder", CODE), ("mobilenet_v2", 1280)])
def test_networks_describe_each_part_by_itself(encoders, name, dimensions):
    extractor = load_extractor(name, weights=encoders[name])
    both = extractor.describe([RED, HALF])
    assert both.shape == (2, dimensions)
    assert both.dtype == np.float32
    assert np.allclose(both[1:], extractor.describe([HALF]), atol=1e-3)
    assert np.allclose(np.diag(extractor.distances(both, both)), 0, atol=1e-5)


def test_batches_do_not_change_what_is_described():
    network = NetworkExtractor("mean", torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()), 8)
    parts = [part((value, 0, 0)) for value in range(40)]
    assert np.allclose(network.describe(parts)[:, 0] * 255, np.arange(40), atol=0.5)


def test_shape_weighs_the_blocks_of_the_descriptor():
    queries = np.zeros((1, DIMENSIONS), np.float32)
    library = np.zeros((2, DIMENSIONS), np.float32)
    library[0, SILHOUETTE] = 1
    library[1, SILHOUETTE.stop :] = 1
    for weights, expected in (((1, 0, 0), [1, 0]), ((0, 1, 0), [0, 1]), ((0.25, 1, 0), [0.5, 1])):
        extractor = load_extractor("shape", shape_weights=weights)
        assert np.allclose(extractor.distances(queries, library), [expected])


@pytest.mark.parametrize("name", ["shape", "raw"])
def test_standardizing_takes_away_what_a_domain_has_in_common(name):
    extractor = load_extractor(name)
    vectors = 4 * np.random.default_rng(0).random((20, DIMENSIONS)).astype(np.float32)
    moved = vectors * 3 + 5
    assert np.allclose(extractor.standardize(vectors, vectors).mean(0), 0, atol=1e-4)
    again = extractor.standardize(moved[:4], moved)
    assert np.allclose(extractor.standardize(vectors[:4], vectors), again, atol=1e-3)


def test_a_number_that_never_changes_becomes_0():
    vectors = np.array([[1, 7], [2, 7], [3, 7]], np.float32)
    assert Raw().standardize(vectors, vectors)[:, 1].tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", ["autoencoder", "resnet50", "mobilenet_v2"])
def test_a_network_without_weights_is_refused(name):
    with pytest.raises(UserError, match="accepted"):
        load_extractor(name)
