"""Attribute vectors in W: of accepted portraits that are not held out, or of all where there are too few."""

import json

import numpy as np
import pyarrow as pa
import pytest

from facemill.data.shards import write_shard
from facemill.data.splits import held_out
from facemill.inference.vectors import Vectors
from facemill.latent.tag_portraits import TAG_SCHEMA
from facemill.stylegan.stylegan_vectors import stylegan_vectors

GENERATED = pa.schema([("id", pa.string()), ("w", pa.list_(pa.float32())), ("rejected", pa.string())])
CENTERS = {"black_hair": [0, 0, 0], "red_hair": [4, 0, 2]}
HOLDOUT = 0.25


@pytest.fixture
def fit(tmp_path):
    """A function that fits vectors to so many portraits; rejected and held-out ones lie far away."""

    def run(count: int, rejected) -> Vectors:
        random = np.random.default_rng(0)
        rows, tags = [], []
        for number in range(count):
            row = {"id": f"seed-{number:06}", "rejected": "unsure" if rejected(number) else None}
            name = list(CENTERS)[number % 2]
            w = np.array(CENTERS[name]) + 0.1 * random.normal(size=3)
            if held_out(row["id"], HOLDOUT):
                w += [0, 100 * (number % 2), 0]
            if row["rejected"]:
                w += [0, 0, 100 * (number % 2)]
            smile = ["smile"] if number % 3 else []
            tags.append(dict.fromkeys(TAG_SCHEMA.names) | {"id": row["id"], "hair_color": name, "tags": smile})
            rows.append(row | {"w": w})
        half = count // 2
        paths = {kind: [tmp_path / f"{kind}-{part}.parquet" for part in range(2)] for kind in ("generated", "tags")}
        for part, rows_of in enumerate((slice(half), slice(half, None))):
            write_shard(paths["generated"][part], rows[rows_of], GENERATED)
            write_shard(paths["tags"][part], tags[rows_of], TAG_SCHEMA)
        stylegan_vectors(
            **paths,
            booleans=["smile"],
            preserve=[],
            method="means",
            min_images=10,
            holdout=HOLDOUT,
            vectors=tmp_path / "vectors.safetensors",
        )
        return Vectors.load(tmp_path / "vectors.safetensors")

    return run


def test_vectors_are_those_of_accepted_portraits_that_are_not_held_out(fit, tmp_path):
    vectors = fit(200, lambda number: number % 5 == 0)
    np.testing.assert_allclose(vectors.step("black_hair", "red_hair"), [4, 0, 2], atol=0.1)
    assert vectors.names() == ["black_hair", "red_hair", "smile"]
    counts = json.loads((tmp_path / "vectors.json").read_text())["images"]
    expected = [n for n in range(200) if n % 5 and not held_out(f"seed-{n:06}", HOLDOUT)]
    assert counts["red_hair"] == sum(number % 2 for number in expected)


def test_where_too_few_are_accepted_all_count(fit, caplog):
    vectors = fit(200, lambda number: number > 9)
    assert vectors.step("black_hair", "red_hair")[2] > 90, "of rejected ones"
    assert "too few of" in caplog.text and "accepted portraits have a name" in caplog.text


@pytest.mark.parametrize("count", [0, 8])
def test_too_few_portraits_give_no_vector(fit, count):
    assert fit(count, lambda _: False).names() == []
