"""Products joined by id, samples of ids, decoded images and masks."""

import numpy as np
import pyarrow as pa
import pytest

from facemill.data.shards import write_shard
from facemill.data.splits import held_out
from facemill.errors import UserError
from facemill.latent.rows import images_of, joined_rows, masks_of, sample_ids


def test_rows_of_two_products_are_joined(collection):
    rows = list(joined_rows((collection["portraits"], ["tags"]), (collection["pseudo_labels"], ["mask"])))
    assert [row["id"] for row in rows] == [str(n) for n in (*range(100, 160, 2), *range(101, 160, 2))]
    assert rows[0].keys() == {"id", "tags", "mask"}
    assert rows[1]["tags"] == ["black_hair", "solo"]


def some(path, ids: list[str]):
    rows = [{"id": row_id, "x": float(row_id)} for row_id in ids]
    write_shard(path, rows, pa.schema([("id", pa.string()), ("x", pa.float32())]))
    return [path]


def test_the_first_product_may_have_some_rows_alone(collection, tmp_path):
    first = some(tmp_path / "some.parquet", ["102", "108", "101"])
    rows = list(joined_rows((first, ["x"]), (collection["portraits"], ["tags"]), (collection["pseudo_labels"], [])))
    assert [(row["id"], row["x"], row["tags"][0]) for row in rows] == [
        ("102", 102, "black_hair"),
        ("108", 108, "black_hair"),
        ("101", 101, "grey_hair"),
    ]


@pytest.mark.parametrize("ids", [["100", "102", "105"], ["102", "100"]])
def test_products_of_other_portraits_are_refused(collection, tmp_path, ids):
    first = some(tmp_path / "first.parquet", ids)
    with pytest.raises(UserError, match=rf"shard-0000.parquet: has no id {ids[-1]} where .*first.parquet has it"):
        list(joined_rows((first, ["x"]), (collection["portraits"][:1], ["tags"])))


def test_a_sample_is_stable():
    ids = [str(n) for n in range(300)]
    sampled = sample_ids(ids, 50, "salt")
    assert len(set(sampled)) == 50
    assert sample_ids(ids[::-1], 50, "salt") == sampled
    assert sample_ids(ids, 50, "other salt") != sampled
    assert set(sample_ids([*ids, "new"], 51, "salt")) >= set(sampled)
    assert len(sample_ids(ids, 1000, "salt")) == 300


def test_about_the_asked_share_is_held_out():
    assert 60 < sum(held_out(str(n), 0.08) for n in range(1000)) < 100
    assert not any(held_out(str(n), 0) for n in range(1000))


def test_only_the_wanted_are_decoded(collection, mask, classes):
    images = images_of(collection["portraits"], ["104", "101"])
    masks = masks_of(collection["pseudo_labels"], ["104", "159"], classes)
    assert images.keys() == {"104", "101"}
    assert images["104"].shape == (32, 32, 3)
    assert masks.keys() == {"104", "159"}
    np.testing.assert_array_equal(masks["159"], mask)
