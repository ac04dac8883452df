"""Means of hair colours and the vectors between them."""

import json

import numpy as np
import pyarrow as pa
import pytest
from safetensors.numpy import load_file

from facemill.errors import BadInput
from facemill.latent.attributes import hair_means, load_means, pair_vectors, save_vectors
from facemill.shards import write_shard
from facemill.splits import held_out

LATENTS = np.array([[0.0, 0.0], [2.0, 0.0], [5.0, 1.0], [5.0, 3.0], [9.0, 9.0], [7.0, 7.0]])
NAMES = ["black_hair", "black_hair", "red_hair", "red_hair", "grey_hair", None]


def test_means_of_colours_with_enough_images():
    means = hair_means(LATENTS, NAMES, min_images=2)
    assert list(means) == ["black_hair", "red_hair"]
    np.testing.assert_array_equal(means["black_hair"], [1, 0])
    np.testing.assert_array_equal(means["red_hair"], [5, 2])


def test_one_colour_gives_no_vector():
    with pytest.raises(BadInput, match=r"attributes.min_images: found 3, .*most frequent: black_hair 2, red_hair 2"):
        hair_means(LATENTS, NAMES, min_images=3)


def test_vectors_lead_from_one_mean_to_the_other():
    means = hair_means(LATENTS, NAMES, min_images=1)
    vectors = pair_vectors(means)
    assert len(vectors) == 6
    np.testing.assert_array_equal(vectors["black_hair", "red_hair"], [4, 2])
    np.testing.assert_array_equal(vectors["red_hair", "black_hair"], [-4, -2])


def test_vectors_are_stored_with_counts_and_norms(tmp_path):
    path = tmp_path / "vectors.safetensors"
    means = {"black_hair": np.array([1.0, 0.0]), "red_hair": np.array([4.0, 4.0])}
    save_vectors(path, means, {"black_hair": 30, "red_hair": 25, "grey_hair": 3})
    tensors = load_file(path)
    assert tensors.keys() == {
        "mean.black_hair",
        "mean.red_hair",
        "vector.black_hair.red_hair",
        "vector.red_hair.black_hair",
    }
    np.testing.assert_array_equal(tensors["vector.black_hair.red_hair"], np.float32([3, 4]))
    about = json.loads(path.with_suffix(".json").read_text())
    assert about == {"images": {"black_hair": 30, "red_hair": 25}, "norms": {"black_hair.red_hair": 5.0}}
    loaded = load_means(path)
    assert loaded.keys() == means.keys()
    np.testing.assert_array_equal(loaded["red_hair"], np.float32([4, 4]))


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "vectors.safetensors").write_bytes(b"nothing")
    for name in ("vectors.safetensors", "missing.safetensors"):
        with pytest.raises(BadInput, match=f"{name}: not a readable"):
            load_means(tmp_path / name)


def test_attribute_vectors_leaves_held_out_portraits_out(script, tmp_path):
    ids = [str(n) for n in range(200)]
    names = [("black_hair", "red_hair")[n % 2] for n in range(200)]
    latents = [
        [1000.0, 0.0] if held_out(id, 0.2) else [float(name == "red_hair"), 5.0]
        for id, name in zip(ids, names, strict=True)
    ]
    points = [{"id": id, "latent": latent} for id, latent in zip(ids, latents, strict=True)]
    colors = [{"id": id, "hair_color": name} for id, name in zip(ids, names, strict=True)]
    write_shard(tmp_path / "l.parquet", points, pa.schema([("id", pa.string()), ("latent", pa.list_(pa.float32()))]))
    write_shard(tmp_path / "c.parquet", colors, pa.schema([("id", pa.string()), ("hair_color", pa.string())]))
    out = tmp_path / "vectors.safetensors"
    script("attribute_vectors")(
        latents=[tmp_path / "l.parquet"],
        colors=[tmp_path / "c.parquet"],
        min_images=20,
        holdout=0.2,
        vectors=out,
    )
    means = load_means(out)
    np.testing.assert_array_equal(means["black_hair"], [0, 5])
    np.testing.assert_array_equal(means["red_hair"], [1, 5])
    images = json.loads(out.with_suffix(".json").read_text())["images"]
    assert sum(images.values()) == sum(not held_out(id, 0.2) for id in ids)
