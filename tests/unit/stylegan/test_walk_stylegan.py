"""Paths through W: along attribute vectors, and between portraits."""

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from facemill.data.shards import write_shard
from facemill.data.splits import held_out
from facemill.inference.vectors import Vectors
from facemill.latent.tag_portraits import TAG_SCHEMA
from facemill.stylegan.walk_stylegan import STEPS_BETWEEN, WALKS, steps_to_targets, walk, walk_stylegan

NAMES = ["black_hair", "grey_hair", "red_hair"]
GENERATED = pa.schema([("id", pa.string()), ("w", pa.list_(pa.float32())), ("rejected", pa.string())])


@pytest.fixture
def vectors() -> Vectors:
    """From each corner of a space of 8 dimensions to the next, and one boolean."""
    axes = np.eye(8, dtype=np.float32)
    pairs = {(a, b): axes[j] - axes[i] for i, a in enumerate(NAMES) for j, b in enumerate(NAMES) if i != j}
    return Vectors({"hair_color": NAMES}, pairs, {"smile": axes[3]})


def test_a_portrait_goes_to_each_target_from_where_it_is(vectors):
    black, grey, red, smile = np.eye(4, 8)
    row = {"hair_color": "grey_hair", "tags": ["smile"]}
    np.testing.assert_array_equal(steps_to_targets(row, vectors), [black - grey, 0 * black, red - grey, -smile])
    for unnamed in (None, "aqua_hair"):
        row = {"hair_color": unnamed, "tags": []}
        np.testing.assert_array_equal(steps_to_targets(row, vectors), [0 * black] * 3 + [smile])


def test_a_walk_is_straight_from_station_to_station():
    path = walk([np.array([0.0, 0.0]), np.array([4.0, 0.0]), np.array([4.0, 8.0])])
    assert path.shape == (2 * STEPS_BETWEEN + 1, 2)
    np.testing.assert_array_equal(path[[0, STEPS_BETWEEN, -1]], [[0, 0], [4, 0], [4, 8]])
    np.testing.assert_allclose(np.diff(path[: STEPS_BETWEEN + 1], axis=0), [[4 / STEPS_BETWEEN, 0]] * STEPS_BETWEEN)


def write_generated(folder, count: int) -> dict:
    """Shards of generated portraits and of their tags."""
    random = np.random.default_rng(0)
    rows = [{"id": f"seed-{i:06}", "w": random.normal(size=8), "rejected": None} for i in range(count)]
    tags = [{"id": row["id"], "hair_color": NAMES[i % 3], "tags": []} for i, row in enumerate(rows)]
    blank = dict.fromkeys(TAG_SCHEMA.names)
    write_shard(folder / "generated.parquet", rows, GENERATED)
    write_shard(folder / "tags.parquet", [blank | row for row in tags], TAG_SCHEMA)
    return {"generated": [folder / "generated.parquet"], "tags": [folder / "tags.parquet"]}


@pytest.mark.parametrize(("count", "targets", "ratio"), [(60, True, 1), (60, False, 1), (60, True, 2), (0, True, 1)])
def test_the_pictures_whatever_there_is(save_generator, vectors, tmp_path, count, targets, ratio):
    some = vectors if targets else Vectors({}, {}, {})
    some.save(tmp_path / "vectors.safetensors", dict.fromkeys(vectors.names(), 9), {})
    names = {"interpolations": "i.png", "interpolations_animation": "i.webp", "walks_animation": "w.webp"}
    for attempt in ("a", "b"):
        walk_stylegan(
            model=save_generator(ratio=ratio) / "model.safetensors",
            vectors=tmp_path / "vectors.safetensors",
            **write_generated(tmp_path, count),
            truncation=0.7,
            strength=1.5,
            steps=4,
            holdout=0.3,
            seed=1,
            **{name: tmp_path / attempt / file for name, file in names.items()},
        )
    for file in names.values():
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    with Image.open(tmp_path / "a/i.png") as picture:
        assert picture.height > 6 * 128 and picture.width == 6 + 4 * 134
    frames = STEPS_BETWEEN * len(some.names()) + 1
    shown = min(sum(held_out(f"seed-{i:06}", 0.3) for i in range(count)), WALKS) or 1
    with Image.open(tmp_path / "a/w.webp") as animation:
        assert animation.n_frames == max(2 * frames - 2, 1) or not count  # frames that are alike are one in the file
        assert animation.width == 6 + min(shown, 4) * 102
