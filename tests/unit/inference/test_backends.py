"""Pseudo-labelling backends: both predict the same, and their numbers are what their names say."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy

import numpy as np
import pytest
import torch

from facemill.data.classes import SEVEN
from facemill.imaging.figures import colorize
from facemill.inference.backends import TorchBackend, fastest_backend
from facemill.inference.openvino_backend import OpenVinoBackend
from facemill.networks.store import load_model
from facemill.networks.unet import Unet

WITHOUT_OPENVINO = """
import sys
sys.modules["openvino"] = None  # importing it fails
import facemill.segment.pseudo_label
from facemill.inference.backends import TorchBackend
from facemill.networks.unet import Unet
unet = Unet(classes=7, size=64, decoder="upsample", decoder_channels=[8] * 5).eval()
print(TorchBackend(unet)([__import__("numpy").zeros((64, 64, 3), "uint8")]).masks.shape)
"""


@pytest.fixture
def images(scene) -> np.ndarray:
    return np.stack([colorize(scene(seed, 64, 64), SEVEN) for seed in range(6)])


def test_numbers_are_means_over_every_second_pixel(painter, images):
    gray = (images // 2 + 64).astype(np.uint8)  # colors between those of the classes: low confidence
    predictions = TorchBackend(painter)(gray)
    pixels = torch.from_numpy(gray).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        probability = painter(pixels).double().softmax(1).numpy()  # of each pixel's color alone: a flip changes nothing
    assert np.array_equal(predictions.masks, probability.argmax(1))
    sparse = probability[:, :, ::2, ::2]
    entropy = -(sparse * np.log(sparse)).sum(1)
    assert predictions.confidence == pytest.approx(sparse.max(1).mean((1, 2)), rel=0.02)
    assert predictions.entropy == pytest.approx(entropy.mean((1, 2)), rel=0.02)
    for i, mask in enumerate(predictions.masks[:, ::2, ::2]):
        means = [entropy[i][mask == c].mean() if (mask == c).any() else np.nan for c in range(7)]
        assert predictions.class_entropy[i] == pytest.approx(means, rel=0.02, nan_ok=True)
    assert (predictions.flip_disagreement == 0).all()


def test_flip_disagreement_is_the_share_whose_class_depends_on_the_side(painter):
    class Sided(type(painter)):
        """Class 1 in the left quarter of every image, class 0 elsewhere."""

        def decode(self, features):
            logits = torch.zeros(len(features[0]), 7, *features[0].shape[2:])
            logits[:, 0] = 1
            logits[:, 1, :, : logits.shape[3] // 4] = 3
            return logits

    predictions = TorchBackend(Sided(64))(np.zeros((1, 64, 64, 3), np.uint8))
    assert predictions.flip_disagreement == 0.5  # the left quarter, and the right one
    [mask] = predictions.masks
    assert (mask[:, :16] == 1).all() and (mask[:, 48:] == 1).all() and not mask[:, 16:48].any()


def test_backends_agree(models, images):
    for model in models:
        unet = load_model(Unet, model)
        by_torch, by_openvino = TorchBackend(unet)(images), OpenVinoBackend(unet)(images)
        # untrained, in bfloat16: no class is ahead of the others
        assert np.mean(by_torch.masks == by_openvino.masks) > 0.95
        for name in ("confidence", "entropy"):
            assert getattr(by_torch, name) == pytest.approx(getattr(by_openvino, name), rel=0.02)


def test_the_same_image_gets_the_same_labels_in_any_company(painter, images):
    backend = fastest_backend(painter)
    first = backend(images[: backend.batch])
    again = backend(images[: backend.batch])
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize("backend", [TorchBackend, OpenVinoBackend])
def test_any_number_of_images_up_to_a_batch_is_predicted_as_in_a_full_one(models, images, backend):
    predict = backend(load_model(Unet, models[2]))
    predict.batch = len(images)
    full, part = predict(images), predict(list(images[:4]))
    assert np.array_equal(part.masks, full.masks[:4])
    assert all(len(values) == 4 for values in part)


SIGNALED = """
import gc, signal, torch
from facemill.inference.openvino_backend import compile_openvino
compiled = [compile_openvino(torch.nn.Conv2d(1, 1, 1), (torch.zeros(1, 1, 8, 8),), "f32", 1) for _ in range(2)]
while compiled:
    del compiled[0]
    gc.collect()
signal.signal(signal.SIGTERM, lambda number, frame: print("handled"))
signal.raise_signal(signal.SIGTERM)
"""


def test_signals_are_handled_when_compiled_networks_are_gone():
    done = subprocess.run([sys.executable, "-c", SIGNALED], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr


def test_torch_labels_where_openvino_is_missing():
    command = [sys.executable, "-c", WITHOUT_OPENVINO]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "(1, 64, 64)\n"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="records a CUDA graph")
def test_a_recorded_graph_predicts_as_the_processor_does_from_several_threads_at_once(models, images):
    unet = load_model(Unet, models[2])
    recorded, plain = TorchBackend(unet), TorchBackend(deepcopy(unet).cpu())
    batches = [images[: 1 + i % len(images)] for i in range(60)]
    with ThreadPoolExecutor(recorded.concurrency) as threads:
        first, again = (list(threads.map(recorded, batches)) for _ in range(2))
    for predictions, repeated, batch in zip(first, again, batches, strict=True):
        assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(predictions, repeated, strict=True))
        # untrained, in bfloat16: no class is ahead of the others
        assert np.mean(predictions.masks == plain(batch).masks) > 0.95
        assert predictions.confidence == pytest.approx(plain(batch).confidence, rel=0.02)
