"""Vectors between the names of groups and to booleans, fitted with control columns."""

import json

import numpy as np
import pyarrow as pa
import pytest

from facemill.data.classes import SEVEN
from facemill.data.shards import write_shard
from facemill.data.splits import held_out
from facemill.errors import UserError
from facemill.inference.vectors import Vectors
from facemill.latent.attribute_vectors import attribute_vectors, fit_vectors, region_dimensions, split_half_cosines
from facemill.latent.attributes import AttributeLabels
from facemill.latent.tag_portraits import TAG_SCHEMA

LATENTS = np.array([[0.0, 0.0], [2.0, 0.0], [5.0, 1.0], [5.0, 3.0], [9.0, 9.0], [7.0, 7.0]])
NAMES = ["black_hair", "black_hair", "red_hair", "red_hair", "grey_hair", None]
SMILES = np.array([True, False, True, False, True, False])


def test_vectors_lead_from_one_mean_to_the_other():
    labels = AttributeLabels({"hair_color": NAMES}, {"smile": SMILES})
    vectors = fit_vectors(LATENTS, labels, {}, "means", min_images=2)
    assert vectors.groups == {"hair_color": ["black_hair", "red_hair"]}
    assert vectors.names() == ["black_hair", "red_hair", "smile"]
    np.testing.assert_allclose(vectors.step("black_hair", "red_hair"), [4, 2])
    np.testing.assert_allclose(vectors.step("red_hair", "black_hair"), [-4, -2])
    np.testing.assert_allclose(vectors.step(False, "smile"), [0, 0], atol=1e-12)
    assert len(fit_vectors(LATENTS, labels, {}, "means", min_images=1).pairs) == 6


def test_what_too_few_have_gives_no_vector():
    labels = AttributeLabels({"hair_color": NAMES}, {"smile": SMILES, "hat": np.arange(6) > 4})
    vectors = fit_vectors(LATENTS, labels, {}, "means", min_images=3)
    assert vectors.groups == {} and vectors.pairs == {} and list(vectors.booleans) == ["smile"]


def test_a_control_that_one_half_lacks_controls_the_other_alone():
    random = np.random.default_rng(0)
    latents, half = random.normal(size=(20, 4)), np.arange(20) < 10
    labels = AttributeLabels({"hair_color": ["black_hair", "red_hair"] * 10}, {})
    mouth = np.where(half[:, None], random.normal(size=(20, 3)), np.nan)
    cosines = split_half_cosines(latents, labels, {"mouth": mouth}, "means", half)
    assert np.isfinite(list(cosines.values())).all()
    second = fit_vectors(latents[~half], labels.subset(~half), {"mouth": mouth[~half]}, "means", 1)
    expected = fit_vectors(latents[~half], labels.subset(~half), {}, "means", 1)
    np.testing.assert_allclose(second.step("black_hair", "red_hair"), expected.step("black_hair", "red_hair"))


@pytest.fixture
def entangled() -> tuple[np.ndarray, AttributeLabels, np.ndarray]:
    """Latents whose first axis is the hair and whose second is the background, which black hair often comes with."""
    random = np.random.default_rng(0)
    hair = random.random(400) < 0.5
    background = (hair + random.normal(size=400))[:, None]
    latents = np.stack([4 * hair, 3 * background[:, 0], np.zeros(400)], 1) + 0.1 * random.normal(size=(400, 3))
    names = [("black_hair", "red_hair")[int(red)] for red in hair]
    return latents, AttributeLabels({"hair_color": names}, {"red": hair}), background


@pytest.mark.parametrize("method", ["means", "logistic"])
def test_controls_are_preserved(entangled, method):
    latents, labels, background = entangled
    free = fit_vectors(latents, labels, {"background": background}, method, 10).step("black_hair", "red_hair")
    assert free[0] > 3 and np.abs(free[1:]).max() < (0.25 if method == "means" else 1.5)
    plain = fit_vectors(latents, labels, {}, "means", 10).step("black_hair", "red_hair")
    np.testing.assert_allclose(plain, [4, 3, 0], atol=0.5)


def test_an_attribute_does_not_control_its_own_vectors(entangled):
    latents, labels, background = entangled
    controls = {"background": background, "red": labels.booleans["red"][:, None].astype(float)}
    vectors = fit_vectors(latents, AttributeLabels({}, labels.booleans), controls, "means", 10)
    np.testing.assert_allclose(vectors.booleans["red"], [4, 0, 0], atol=0.1)


def test_a_control_may_be_missing_for_some_portraits(entangled):
    latents, labels, background = entangled
    background[:3] = np.nan
    free = fit_vectors(latents, labels, {"background": background}, "means", 10).step("black_hair", "red_hair")
    np.testing.assert_allclose(free, [4, 0, 0], atol=0.25)


def test_vectors_of_two_halves_are_alike_where_there_is_a_direction(entangled):
    latents, labels, _ = entangled
    halves = np.arange(400) % 2 == 0
    assert split_half_cosines(latents, labels, {}, "means", halves)["black_hair.red_hair"] > 0.99
    noise = np.random.default_rng(1).normal(size=(400, 50))
    assert abs(split_half_cosines(noise, labels, {}, "means", halves)["red"]) < 0.6


@pytest.fixture
def shards(tmp_path) -> dict:
    """200 latents and their tags: black and red hair by turns, far away where they are held out; every third smiles."""
    points, tags = [], []
    for number in range(200):
        red, smiles = number % 2, number % 3 == 0
        latent = [1000.0, 0.0, 0.0] if held_out(str(number), 0.2) else [float(red), 5.0, float(smiles)]
        points.append({"id": str(number), "latent": latent})
        row = dict.fromkeys(TAG_SCHEMA.names) | {"id": str(number), "hair_color": ("black_hair", "red_hair")[red]}
        tags.append(row | {"tags": ["smile"] if smiles else [], "background": [50.0, 0.0, 0.0]})
    write_shard(tmp_path / "l.parquet", points, pa.schema([("id", pa.string()), ("latent", pa.list_(pa.float32()))]))
    write_shard(tmp_path / "t.parquet", tags, TAG_SCHEMA)
    return {"latents": [tmp_path / "l.parquet"], "tags": [tmp_path / "t.parquet"], "holdout": 0.2}


def test_attribute_vectors_leaves_held_out_portraits_out(shards, tmp_path):
    out = tmp_path / "vectors.safetensors"
    settings = {"booleans": ["smile"], "preserve": ["background", "clothes"], "method": "means", "min_images": 20}
    attribute_vectors(**shards, **settings, vectors=out)
    vectors = Vectors.load(out)
    np.testing.assert_allclose(vectors.step("black_hair", "red_hair"), [1, 0, 0], atol=0.02)
    np.testing.assert_allclose(vectors.step(False, "smile"), [0, 0, 1], atol=0.02)
    metadata = json.loads(out.with_suffix(".json").read_text())
    images = metadata["images"]
    assert images["black_hair"] + images["red_hair"] == sum(not held_out(str(n), 0.2) for n in range(200))
    assert metadata["split_half_cosine"]["black_hair.red_hair"] > 0.95


def test_vectors_between_colors_move_the_code_of_their_region_alone():
    """What hair goes with in the collection, such as its clothes, stays; a boolean moves all."""
    random, red = np.random.default_rng(0), np.arange(200) % 2 == 1
    codes = random.normal(size=(200, 7 * 3)) * 0.01 + red[:, None]
    labels = AttributeLabels({"hair_color": np.where(red, "red_hair", "black_hair").tolist()}, {"smile": red})
    moved = region_dimensions(SEVEN, 21)
    vectors = fit_vectors(codes, labels, {}, "means", 10, moved)
    assert np.flatnonzero(vectors.step("black_hair", "red_hair")).tolist() == [15, 16, 17]
    assert np.flatnonzero(moved["skin_color"]).tolist() == [*range(3, 9)]  # of skin and face
    assert np.all(vectors.step(False, "smile") > 0.9)


def test_too_few_images_are_one_line(shards, tmp_path):
    with pytest.raises(UserError, match=r"attributes.min_images: found 150, .*most frequent: (black|red)_hair \d+"):
        attribute_vectors(**shards, method="means", min_images=150, vectors=tmp_path / "v.safetensors")
