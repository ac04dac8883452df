"""Figures of generated masks: of real ones, of copies, of noise; and the whole evaluation."""

import json

import numpy as np
import pytest
import torch
from helpers.masks import heads, save_mask_generator, write_masks
from helpers.scenes import save_varied_unet
from PIL import Image

from facemill.data.classes import SEVEN
from facemill.errors import UserError
from facemill.mask_generator.evaluate_mask_generator import MaskSets, evaluate_mask_generator, figures
from facemill.networks.spade import Generator
from facemill.networks.store import save_model


@pytest.fixture(scope="module")
def kinds() -> tuple[np.ndarray, np.ndarray]:
    """Masks of the training, and held-out ones."""
    masks = heads(400, seed=1)[:, ::2, ::2]
    return masks[:300], masks[300:]


def test_new_heads_are_as_valid_as_held_out_ones_and_no_copies(kinds):
    found = figures(MaskSets(heads(300, seed=2)[:, ::2, ::2], *kinds, SEVEN))
    assert found["valid_over_real"] == pytest.approx(1, abs=0.1) and found["valid_real"] > 0.5
    assert found["frechet_over_floor"] < 2 and found["frechet_over_halves"] < 3
    assert abs(found["copying_z"]) < 3 and found["diversity_vs_real"] == pytest.approx(1, abs=0.1)
    assert found["components"]["eye"] == {"generated": 2, "real": 2}
    assert (found["masks"], found["held_out"]) == (300, 100)


def test_copies_are_told(kinds):
    training, unseen = kinds
    found = figures(MaskSets(training[:, :, ::-1], training, unseen, SEVEN))
    assert found["copying_z"] < -3 and found["nearest"]["generated"] == 0 < found["nearest"]["real"]


def test_noise_is_not_valid_and_far(kinds):
    noise = np.random.default_rng(0).integers(0, 7, (300, 64, 64)).astype(np.uint8)
    found = figures(MaskSets(noise, *kinds, SEVEN))
    assert found["valid"] == 0 and found["frechet_over_floor"] > 20 and found["copying_z"] > 3


def test_one_mask_again_and_again_has_no_diversity(kinds):
    found = figures(MaskSets(kinds[0][:1].repeat(300, 0), *kinds, SEVEN))
    assert found["diversity_vs_real"] == 0 and np.isfinite(found["frechet_over_floor"])


def test_the_evaluation_ends_with_figures_and_a_sheet(tmp_path):
    inputs = write_masks(tmp_path, size=64)
    torch.manual_seed(0)
    arguments = {"size": 64, "z_dim": 4, "ngf": 4, "nhidden": 4, "classes": 7}
    save_model(tmp_path / "gaugan.safetensors", Generator(**arguments), arguments, {}, SEVEN)
    paths = {
        "model": save_mask_generator(tmp_path / "generator") / "model.safetensors",
        "gaugan": tmp_path / "gaugan.safetensors",
        "evaluator": save_varied_unet(tmp_path / "unet.safetensors"),
        "metrics": tmp_path / "metrics.json",
        "picture": tmp_path / "masks.png",
    }
    evaluate_mask_generator(**inputs, **paths)
    found = json.loads(paths["metrics"].read_text())
    assert 0 <= found["resegmentation_miou"] <= 1 and 0 <= found["resegmentation_miou_real"] <= 1
    assert found.keys() >= {"frechet_over_floor", "valid_over_real", "copying_z"}
    with Image.open(paths["picture"]) as picture:
        assert picture.size == (16 * 102 + 6, 8 * 102 + 6)
    with pytest.raises(UserError, match="holdout: found 0.01, which holds out . masks; accepted: .* 10 or more"):
        evaluate_mask_generator(**inputs | {"holdout": 0.01}, **paths)
