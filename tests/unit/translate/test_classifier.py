"""The classifier of two collections: what it learns, and that the same portraits give the same weights."""

import numpy as np
import pytest
import torch

from facemill.translate import classifier as module
from facemill.translate.classifier import to_tensor, train_classifier


def striped(count: int, along: int, seed: int, size: int = 32) -> np.ndarray:
    """Noise with stripes along an axis, of any colors."""
    random = np.random.default_rng(seed)
    stripes = random.integers(0, 160, (count, 1, 1, 3)) + 90 * (np.arange(size) // 2 % 2)[None, :, None, None]
    images = np.broadcast_to(stripes, (count, size, size, 3)) + random.integers(0, 6, (count, size, size, 3))
    return (images if along else images.swapaxes(1, 2)).astype(np.uint8)


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    """Stripes are soon learned."""
    monkeypatch.setattr(module, "STEPS", 60)


def test_portraits_that_it_never_saw_are_told_apart_by_their_texture():
    classifier = train_classifier(striped(64, 0, 0), striped(64, 1, 1))
    assert classifier.second(striped(40, 0, 2)).mean() < 0.05
    assert classifier.second(striped(40, 1, 3)).mean() > 0.95


def test_the_same_portraits_give_the_same_weights_whatever_was_drawn_before(monkeypatch):
    monkeypatch.setattr(module, "STEPS", 3)
    sides = striped(8, 0, 0), striped(8, 1, 1)
    first = train_classifier(*sides).state_dict()
    torch.manual_seed(7)
    state = torch.get_rng_state()
    second = train_classifier(*sides).state_dict()
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    assert torch.equal(torch.get_rng_state(), state), "the caller's numbers are the same"


def test_large_portraits_are_averaged():
    assert to_tensor(striped(2, 0, 0, size=256)).shape == (2, 3, 64, 64)
    assert to_tensor(striped(2, 0, 0)).shape == (2, 3, 32, 32)
    assert to_tensor(np.zeros((1, 128, 64, 3), np.uint8)).shape == (1, 3, 64, 32)
