"""What is measured of portraits: IoUs over all pixels, features, and K portraits of each mask."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import inception_v3

from facemill.data.classes import SEVEN
from facemill.inference.segmenter import Segmenter
from facemill.metrics.generation import FEATURES, Evaluator, Measures, overlaps
from facemill.networks.inception import INCEPTION
from facemill.networks.unet import Unet


@pytest.mark.parametrize("classes", [7, 19])
def test_ious_count_the_pixels_of_all_portraits_together(classes):
    masks = np.stack([np.zeros((4, 4), np.uint8), np.full((4, 4), 5, np.uint8)])
    nothing = np.empty((2, 1, 0))
    counts = overlaps(np.zeros_like(masks), masks, classes)[:, None]
    measures = Measures(counts, *[nothing] * 6)
    assert measures.ious()[0] == 0.5 and measures.ious()[5] == 0
    assert np.isnan(np.delete(measures.ious(), [0, 5])).all()
    assert measures.mious().tolist() == [[1], [0]]


@pytest.fixture
def evaluator() -> Evaluator:
    torch.manual_seed(0)
    unet = Unet(size=64, decoder="transposed", decoder_channels=(16, 16, 8, 8, 8), classes=7).eval()
    return Evaluator(Segmenter(unet, SEVEN), None, None)


def test_portraits_of_a_mask_are_measured_with_it_in_batches_as_alone(evaluator):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (6, 64, 64, 3), np.uint8)
    masks = random.integers(0, 7, (2, 8, 8), np.uint8).repeat(8, 1).repeat(8, 2)
    measures = evaluator.measure(images, masks)  # three portraits of each mask
    assert measures.overlaps.shape == (2, 3, 7, 2) and measures.colors.shape == (2, 3, 6, 3)
    assert measures.features.shape == (2, 3, 96) and measures.inception.shape == (2, 3, 0)
    parts = [evaluator.measure(images[:3], masks[:1]), evaluator.measure(images[3:], masks[1:])]
    joined = Measures.join(parts)
    np.testing.assert_array_equal(joined.colors, measures.colors)
    np.testing.assert_array_equal(joined.overlaps, measures.overlaps)
    np.testing.assert_allclose(joined.features, measures.features, rtol=0.02, atol=0.02)
    np.testing.assert_array_equal(measures.frechet_features(), measures.features)
    np.testing.assert_allclose(evaluator.features_for_frechet(images), measures.features.reshape(6, 96), atol=0.02)
    of_fifth = evaluator.measure(images[4:5], masks[1:])
    np.testing.assert_array_equal(of_fifth.colors[0, 0], measures.colors[1, 1])


def test_frechet_features_are_inceptions_where_it_has_weights(evaluator, tmp_path):
    torch.manual_seed(0)
    state = inception_v3(weights=None, init_weights=False, aux_logits=False).state_dict()
    save_file(state, tmp_path / "inception.safetensors")
    with_inception = Evaluator(evaluator.segmenter, None, tmp_path / "inception.safetensors")
    assert (evaluator.frechet_features, with_inception.frechet_features) == (FEATURES, INCEPTION)
    images, masks = np.zeros((2, 64, 64, 3), np.uint8), np.zeros((1, 64, 64), np.uint8)
    features = with_inception.measure(images, masks).frechet_features()
    assert features.shape == (1, 2, 2048) and features.dtype == np.float32
    np.testing.assert_array_equal(with_inception.features_for_frechet(images), features[0])
