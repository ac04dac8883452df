"""Attribute vectors: steps between names and to booleans, and their file."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from facemill.errors import UserError
from facemill.inference.vectors import Vectors


def test_steps_lead_from_the_source_to_the_target():
    pairs = {("a", "b"): np.array([1.0]), ("b", "a"): np.array([-1.0])}
    vectors = Vectors({"hair_color": ["a", "b"]}, pairs, {"smile": np.array([2.0])})
    assert vectors.names() == ["a", "b", "smile"]
    assert (vectors.group_of("b"), vectors.group_of("smile")) == ("hair_color", None)
    assert (vectors.step("a", "b"), vectors.step(False, "smile"), vectors.step(True, "smile")) == (1, 2, -2)


def test_vectors_are_stored_with_counts_norms_and_cosines(tmp_path):
    path = tmp_path / "vectors.safetensors"
    pairs = {("black_hair", "red_hair"): np.array([3.0, 4.0]), ("red_hair", "black_hair"): np.array([-3.0, -4.0])}
    vectors = Vectors({"hair_color": ["black_hair", "red_hair"]}, pairs, {"smile": np.array([0.0, 2.0])})
    counts = {"black_hair": 30, "red_hair": 25, "grey_hair": 3, "smile": 7}
    vectors.save(path, counts, {"black_hair.red_hair": 0.5, "smile": 0.25})
    tensors = load_file(path)
    assert tensors.keys() == {"black_hair.red_hair", "smile"}
    np.testing.assert_array_equal(tensors["black_hair.red_hair"], np.float32([3, 4]))
    assert json.loads(path.with_suffix(".json").read_text()) == {
        "groups": {"hair_color": ["black_hair", "red_hair"]},
        "booleans": ["smile"],
        "images": {"black_hair": 30, "red_hair": 25, "smile": 7},
        "norms": {"black_hair.red_hair": 5.0, "smile": 2.0},
        "split_half_cosine": {"black_hair.red_hair": 0.5, "smile": 0.25},
    }
    loaded = Vectors.load(path)
    assert loaded.groups == vectors.groups
    np.testing.assert_array_equal(loaded.step("red_hair", "black_hair"), [-3, -4])
    np.testing.assert_array_equal(loaded.step(True, "smile"), [0, -2])


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "vectors.safetensors").write_bytes(b"nothing")
    for name in ("vectors.safetensors", "missing.safetensors"):
        with pytest.raises(UserError, match=f"{name}: not a readable"):
            Vectors.load(tmp_path / name)


def test_a_group_of_one_name_has_no_vectors(tmp_path):
    path = tmp_path / "vectors.safetensors"
    Vectors({"hair_color": ["red_hair"]}, {}, {}).save(path, {"red_hair": 1}, {})
    with pytest.raises(UserError, match="not a readable file of vectors .hair_color: 1 name; accepted: 2 or more"):
        Vectors.load(path)
