"""A classifier of feature maps learns from a few masks what drew them."""

import numpy as np
import pytest
import torch

from facemill.data.classes import IGNORE
from facemill.inference.sampler import Sampler
from facemill.stylegan import pixel_classifier
from facemill.stylegan.pixel_classifier import PixelClassifier, layer_maps, pixel_features

LAYER, CHANNELS = 4, [2, 3, 5]


@pytest.fixture(autouse=True)
def small_penalty(monkeypatch):
    """The few maps of a small generator need larger weights than those of a large one."""
    monkeypatch.setattr(pixel_classifier, "INVERSE_PENALTY", 1)


@pytest.fixture(params=[1, 2])
def sampler(request, save_generator) -> Sampler:
    return Sampler.load(save_generator(ratio=request.param))


@pytest.fixture
def styles(sampler) -> torch.Tensor:
    return sampler.truncated(range(12), 1).cpu()


@pytest.fixture
def masks(sampler, styles) -> np.ndarray:
    """Class 0, 1 or 3, that of the largest of three maps; 2 is nowhere."""
    maps = layer_maps(sampler, styles)[LAYER][:, CHANNELS]
    maps = torch.nn.functional.interpolate(maps, sampler.generator.sides()[-1], mode="bilinear", align_corners=False)
    maps = (maps - maps.mean((0, 2, 3), keepdim=True)) / maps.std((0, 2, 3), keepdim=True)
    return np.array([0, 1, 3], np.uint8)[maps.argmax(1).numpy()]


def test_other_portraits_are_labelled_as_the_few_were(sampler, styles, masks):
    classifier = PixelClassifier.fit(sampler, styles[:4], masks[:4], classes=4, pixels=400)
    predicted = classifier.logits(sampler, styles[4:]).argmax(1).numpy()
    assert predicted.shape == masks[4:].shape and (predicted == masks[4:]).mean() > 0.8
    assert not (predicted == 2).any()


def test_logits_are_those_of_the_enlarged_features(sampler, styles, masks):
    classifier = PixelClassifier.fit(sampler, styles[:2], masks[:2], classes=4, pixels=200)
    features = pixel_features(layer_maps(sampler, styles[5:6]), masks.shape[1:], np.arange(masks[0].size))
    expected = features @ torch.cat(classifier.weights, 1).T.numpy() + classifier.bias.numpy()
    logits = classifier.logits(sampler, styles[5:6])[0].flatten(1).T.numpy()
    np.testing.assert_allclose(logits, expected, atol=2e-3)


@pytest.mark.parametrize("known", [[1], [0, 3]])
def test_one_and_two_classes_are_enough(sampler, styles, masks, known):
    masks = np.where(np.isin(masks, known), masks, known[0]).astype(np.uint8)
    classifier = PixelClassifier.fit(sampler, styles[:4], masks[:4], classes=4, pixels=400)
    predicted = classifier.logits(sampler, styles[4:]).argmax(1).numpy()
    assert set(np.unique(predicted)) == set(known) and (predicted == masks[4:]).mean() > 0.8


def test_pixels_without_a_label_are_left_out(sampler, styles, masks):
    hidden = masks[:4].copy()
    hidden[:, ::2] = IGNORE
    classifier = PixelClassifier.fit(sampler, styles[:4], hidden, classes=4, pixels=10_000)
    assert (classifier.logits(sampler, styles[4:]).argmax(1).numpy() == masks[4:]).mean() > 0.8
