"""Directions without labels: of style matrices and of styles, and what they move."""

import json

import numpy as np
import pytest
import torch
from helpers.scenes import save_varied_unet
from PIL import Image
from safetensors.numpy import load_file

from facemill.data.classes import SEVEN
from facemill.imaging.figures import colorize
from facemill.inference.sampler import Sampler
from facemill.metrics.style import colors_of
from facemill.networks.stylegan2 import StyleGenerator
from facemill.stylegan import factor_styles as module
from facemill.stylegan.evaluate_mixing import layer_ranges
from facemill.stylegan.factor_styles import (
    all_factors,
    effects,
    factor_styles,
    factors_of,
    moved_styles,
    style_matrices,
    what_moves,
)
from facemill.stylegan.seen import Seen

HAIR = SEVEN.names.index("hair")


@pytest.fixture
def generator() -> StyleGenerator:
    """Of more dimensions of w than a layer has channels."""
    torch.manual_seed(0)
    return StyleGenerator(height=32, channels=[4] * 4, z_dim=16, w_dim=16, mapping=1).eval()


@torch.inference_mode()
def test_a_layer_does_not_see_what_its_matrix_does_not(generator):
    styles = torch.randn(1, generator.layers, 16)
    before = generator.synthesize(styles)
    for layer, matrix in enumerate(style_matrices(generator)):
        change = []
        for axis in np.linalg.svd(matrix)[2][[0, -1]]:  # the strongest direction, and one that the matrix maps to 0
            moved = styles.clone()
            moved[:, layer] += torch.from_numpy(np.float32(axis))
            change.append(float((generator.synthesize(moved) - before).abs().max()))
        assert change[0] > 0.01 and change[1] < 1e-4, layer


def test_the_closed_form_is_of_right_singular_vectors_of_stacked_matrices(generator):
    kinds = all_factors(Sampler(generator))
    matrices = style_matrices(generator)
    for name, layers in ({"": range(generator.layers)} | layer_ranges(generator)).items():
        factors = kinds[f"closed_form_{name}".rstrip("_")]
        _, values, axes = np.linalg.svd(np.concatenate([matrices[layer] for layer in layers]))
        units = factors.vectors / np.linalg.norm(factors.vectors, axis=1, keepdims=True)
        np.testing.assert_allclose(np.abs((units * axes[: len(units)]).sum(1)), 1, atol=1e-6)
        np.testing.assert_allclose(factors.strength, (values**2 / (values**2).sum())[: len(units)])
        assert factors.layers == list(layers)


def test_principal_components_are_a_deviation_long():
    axes = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    factors = factors_of(axes @ np.diag([1, 9, 4]) @ axes.T, axes @ np.diag([1, 9, 4]) @ axes.T, [0])
    np.testing.assert_allclose(np.linalg.norm(factors.vectors, axis=1), [3, 2, 1])
    np.testing.assert_allclose(factors.variance, np.array([9, 4, 1]) / 14)
    np.testing.assert_allclose(factors.variance, factors.strength)
    np.testing.assert_allclose(np.abs(factors.vectors @ axes), [[0, 3, 0], [0, 0, 2], [1, 0, 0]], atol=1e-9)
    assert (factors.vectors[np.arange(3), np.abs(factors.vectors).argmax(1)] > 0).all()


def test_the_variance_along_the_closed_form_is_that_of_the_styles():
    factors = factors_of(np.diag([1.0, 2.0, 7.0]), np.diag([16.0, 4.0, 0.0]), [0])
    np.testing.assert_allclose(factors.vectors, [[0, 0, 0], [0, 2, 0], [4, 0, 0]])
    np.testing.assert_allclose(factors.variance, [0, 0.2, 0.8])
    np.testing.assert_allclose(factors.strength, [0.7, 0.2, 0.1])


def test_a_factor_moves_its_layers_alone():
    styles = torch.arange(6.0).reshape(2, 3)
    moved = moved_styles(styles, np.array([1.0, 0.0, -1.0]), [1, 2], 4)
    assert torch.equal(moved[:, [0, 3]], styles[:, None].expand(2, 2, 3))
    assert torch.equal(moved[:, [1, 2]], (styles + torch.tensor([1.0, 0.0, -1.0]))[:, None].expand(2, 2, 3))


def test_what_a_factor_moves_is_told_by_class_and_color(scene):
    masks = np.stack([scene(seed, 64, 64) for seed in range(4)])
    images = np.stack([colorize(mask, SEVEN) for mask in masks])
    low = Seen(images, masks, colors_of(images, masks, SEVEN))
    repainted = images.copy()
    repainted[masks == HAIR] = (0, 200, 90)
    high = Seen(repainted, masks, colors_of(repainted, masks, SEVEN))
    apart = dict.fromkeys(effects(low, high, SEVEN), 10.0)
    figures = what_moves(low, high, SEVEN, apart)
    assert figures["largest"] == "hair color" and figures["concentration"] == 1
    assert figures["effects"]["hair color"] == pytest.approx(effects(low, high, SEVEN)["hair color"] / 10)
    assert figures["effects"]["hair shape"] == figures["effects"]["skin color"] == 0
    assert figures["moves"]["hair"] == 1
    still = what_moves(low, low, SEVEN, apart)
    assert still["largest"] is still["concentration"] is still["moves"]["hair"] is None and still["l1"] == 0
    reshaped = masks.copy()
    reshaped[:, :8] = HAIR
    grown = what_moves(low, low._replace(masks=reshaped), SEVEN, dict.fromkeys(effects(low, high, SEVEN), 1.0))
    assert grown["largest"] in ("hair shape", "background shape") and grown["effects"]["hair color"] == 0


FILES = {"factors": "f.safetensors", "metrics": "f.json", "picture": "f.png"}
CONDITIONS = {"hair_color": ["red_hair", "black_hair"]}


@pytest.mark.parametrize(("ratio", "conditions"), [(1, None), (2, CONDITIONS)])
def test_factors_with_masks_and_without(save_generator, tmp_path, monkeypatch, ratio, conditions):
    for name, fewer in {"PORTRAITS": 4, "FACTORS": 3, "MEAN_STYLES": 200}.items():
        monkeypatch.setattr(module, name, fewer)
    model = save_generator(ratio=ratio, conditions=conditions) / "model.safetensors"
    unet = save_varied_unet(tmp_path / "unet.safetensors")
    for name, network in {"masks": unet, "again": unet, "none": None}.items():
        files = {key: tmp_path / name / file for key, file in FILES.items()}
        factor_styles(model=model, unet=network, truncation=0.7, **files)
    for file in FILES.values():
        assert (tmp_path / "masks" / file).read_bytes() == (tmp_path / "again" / file).read_bytes()
    kinds = [key for key, of_kind in load_file(tmp_path / "masks/f.safetensors").items() if of_kind.shape == (3, 8)]
    ranges = {"coarse", "fine"} | ({"middle"} if ratio == 1 else set())
    assert set(kinds) == {"pca", "closed_form", *(f"closed_form_{name}" for name in ranges)}
    figures, without = (json.loads((tmp_path / name / "f.json").read_text()) for name in ("masks", "none"))
    assert figures["closed_form"]["variance"] < figures["pca"]["variance"] < 1
    assert figures["closed_form_fine"]["layers"] == ([5, 6, 7] if ratio == 1 else [3, 4, 5])
    for kind in kinds:
        for factor, bare in zip(figures[kind]["factors"], without[kind]["factors"], strict=True):
            assert factor["effects"][factor["largest"]] == max(factor["effects"].values()) > 0
            assert sum(factor["moves"].values()) == pytest.approx(1)
            assert bare == {key: factor[key] for key in ("variance", "strength", "l1")}
        assert without[kind]["concentration"] is None and 1 / 13 < figures[kind]["concentration"] < 1
    with Image.open(tmp_path / "masks/f.png") as picture:
        assert picture.width > 14 * module.CELL and picture.height > 6 * module.CELL / ratio
