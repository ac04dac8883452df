"""Training of the mask generator: what it learns from, exact resume, refusals."""

import numpy as np
import pytest
import torch
from helpers.masks import SETTINGS, heads, write_masks
from helpers.training import sigterm_in_step

from facemill.config.mask_generator import MaskGeneratorConfig
from facemill.data.classes import SEVEN
from facemill.data.splits import held_out
from facemill.errors import UserError
from facemill.inference.mask_sampler import MaskSampler
from facemill.mask_generator.masks import SmallMasks, shrunk_mask
from facemill.mask_generator.train_mask_generator import train_mask_generator


@pytest.fixture
def inputs(tmp_path, monkeypatch) -> dict:
    monkeypatch.chdir(tmp_path)
    return write_masks(tmp_path)


def train(inputs: dict, folder, **changes) -> None:
    settings = MaskGeneratorConfig.model_validate(SETTINGS.model_dump() | changes)
    products = {"model": folder / "model.safetensors", "curves": folder / "curves.csv"}
    train_mask_generator(settings=settings, **inputs, **products)


def test_a_training_leaves_a_model_of_the_masks_classes(inputs, tmp_path, caplog):
    with caplog.at_level("INFO", logger="facemill"):
        train(inputs, tmp_path / "out")
    learned = sum(number >= 3 and not held_out(str(number), 0.2) for number in range(140))
    assert f"mask_generator: learns from {learned} masks" in caplog.messages
    sampler = MaskSampler.load(tmp_path / "out", SEVEN)
    assert sampler.masks([0, 1]).shape == (2, 32, 32) and sampler.generator.w_mean.any()
    curves = np.genfromtxt(tmp_path / "out/curves.csv", delimiter=",", names=True)
    assert curves["images"].tolist() == [8, 16, 24, 32, 40] and np.isfinite(curves["loss_d"]).all()
    assert len(list(tmp_path.glob("work/mask_generator-*/masks-*.png"))) == 5


def test_a_stopped_training_resumes_to_the_same_bytes(inputs, tmp_path):
    train(inputs, tmp_path / "uninterrupted")
    with sigterm_in_step(2):
        train(inputs, tmp_path / "resumed")
    train(inputs, tmp_path / "resumed")
    for product in ("model.safetensors", "curves.csv"):
        assert (tmp_path / "resumed" / product).read_bytes() == (tmp_path / "uninterrupted" / product).read_bytes()


def test_few_masks_and_those_of_no_fitting_size_are_refused(inputs, tmp_path):
    with pytest.raises(UserError, match="mask_generator: found .* masks to learn from; accepted: 100 or more"):
        train(inputs | {"holdout": 0.6}, tmp_path)
    rows = SmallMasks(inputs["portraits"], inputs["pseudo_labels"], SEVEN, 48, lambda row_id: True)
    with pytest.raises(UserError, match="masks of 128 pixels; accepted: a multiple of 48, mask_generator.size"):
        rows[0]


def test_masks_are_shrunk_by_the_largest_share_and_kept(inputs):
    mask = np.zeros((4, 4), np.uint8)
    mask[:2, :2] = [[1, 2], [2, 2]]
    mask[2:, 2:] = [[3, 3], [1, 1]]
    assert shrunk_mask(mask, 2, 4).tolist() == [[2, 0], [0, 1]]
    rows = SmallMasks(inputs["portraits"], inputs["pseudo_labels"], SEVEN, 64, lambda row_id: True)
    assert torch.equal(rows[5], torch.from_numpy(shrunk_mask(heads(140)[5], 64, 7))) and rows[5] is rows[5]
