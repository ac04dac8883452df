"""Finished translators: any number of images, any size, the same bytes."""

import numpy as np
import pytest
import torch

from facemill.errors import UserError
from facemill.inference.translator import Translator
from facemill.networks.resnet_generator import ResnetGenerator
from facemill.networks.store import save_model


@pytest.fixture(scope="module")
def translator(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "a2b.safetensors"
    save_model(path, ResnetGenerator(width=4, blocks=1), {"width": 4, "blocks": 1}, {"size": 64})
    return Translator.load(path)


def noise(count, height, width):
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)


def test_an_image_gives_the_same_bytes_alone_and_among_others(translator):
    images = noise(19, 64, 64)
    together = translator.translate(images)
    assert together.shape == images.shape and together.dtype == np.uint8
    for index in (0, 7, 18):
        assert (translator.translate(images[index : index + 1])[0] == together[index]).all()


def test_the_size_is_that_of_the_training_and_other_sizes_are_translated(translator):
    assert translator.size == 64
    images = noise(2, 72, 36)
    assert translator.translate(images).shape == images.shape
    assert len(translator.translate(noise(0, 64, 64))) == 0


def test_a_side_that_is_no_multiple_of_four_is_refused(translator):
    with pytest.raises(ValueError, match="found images of 64 x 66 pixels; accepted: multiples of 4"):
        translator.translate(noise(1, 66, 64))


def test_a_model_that_does_not_tell_its_size_is_refused(tmp_path):
    path = tmp_path / "a2b.safetensors"
    save_model(path, ResnetGenerator(width=4, blocks=1), {"width": 4, "blocks": 1}, {})
    with pytest.raises(UserError, match=r"a2b\.json: settings\.size: found None"):
        Translator.load(path)
