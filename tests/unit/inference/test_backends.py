"""What labels the collection: both backends say the same, and their numbers are what they are called."""

import numpy as np
import pytest
import torch

from facemill.data.classes import CLASSES
from facemill.imaging.figures import colorize
from facemill.inference.backends import OpenVino, Torch, labeller
from facemill.networks.store import load_model
from facemill.networks.unet import Unet


@pytest.fixture
def images(scene) -> np.ndarray:
    return np.stack([colorize(scene(seed, 64, 64)) for seed in range(6)])


def test_numbers_are_means_over_every_second_pixel(painter, images):
    gray = (images // 2 + 64).astype(np.uint8)  # colors between those of the classes: no class is sure
    found = Torch(painter)(gray)
    pixels = torch.from_numpy(gray).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        probability = painter(pixels).double().softmax(1).numpy()  # a pixel's color alone: mirroring changes nothing
    assert np.array_equal(found.masks, probability.argmax(1))
    sparse = probability[:, :, ::2, ::2]
    each = -(sparse * np.log(sparse)).sum(1)
    assert found.confidence == pytest.approx(sparse.max(1).mean((1, 2)), rel=0.02)
    assert found.entropy == pytest.approx(each.mean((1, 2)), rel=0.02)
    for i, mask in enumerate(found.masks[:, ::2, ::2]):
        means = [each[i][mask == c].mean() if (mask == c).any() else np.nan for c in range(len(CLASSES))]
        assert found.class_entropy[i] == pytest.approx(means, rel=0.02, nan_ok=True)
    assert (found.flip_disagreement == 0).all()


def test_flipped_is_the_share_whose_class_depends_on_the_side(painter):
    class Sided(type(painter)):
        """Sees class 1 in the left quarter of whatever it is shown, class 0 elsewhere."""

        def decode(self, features):
            logits = torch.zeros(len(features[0]), len(CLASSES), *features[0].shape[2:])
            logits[:, 0] = 1
            logits[:, 1, :, : logits.shape[3] // 4] = 3
            return logits

    found = Torch(Sided(64))(np.zeros((1, 64, 64, 3), np.uint8))
    assert found.flip_disagreement == 0.5  # the left quarter, and the right one
    [mask] = found.masks
    assert (mask[:, :16] == 1).all() and (mask[:, 48:] == 1).all() and not mask[:, 16:48].any()


def test_backends_agree(models, images):
    for model in models:
        unet = load_model(Unet, model)
        by_torch, by_openvino = Torch(unet)(images), OpenVino(unet)(images)
        # untrained, in bfloat16: no class is ahead of the others
        assert np.mean(by_torch.masks == by_openvino.masks) > 0.95
        for name in ("confidence", "entropy"):
            assert getattr(by_torch, name) == pytest.approx(getattr(by_openvino, name), rel=0.02)


def test_the_same_image_gets_the_same_labels_in_any_company(painter, images):
    label = labeller(painter)
    first = label(images[: label.batch])
    again = label(images[: label.batch])
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(first, again, strict=True))
