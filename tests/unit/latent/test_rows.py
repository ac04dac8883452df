"""Products side by side, draws by id."""

import numpy as np
import pyarrow as pa
import pytest

from facemill.errors import BadInput
from facemill.latent.rows import drawn, images_of, joined_rows, masks_of
from facemill.shards import write_shard
from facemill.splits import held_out


def test_rows_of_two_products_are_joined(collection):
    rows = list(joined_rows((collection["portraits"], ["tags"]), (collection["pseudo_labels"], ["mask"])))
    assert [row["id"] for row in rows] == [str(n) for n in (*range(100, 160, 2), *range(101, 160, 2))]
    assert rows[0].keys() == {"id", "tags", "mask"}
    assert rows[1]["tags"] == ["black_hair", "solo"]


@pytest.mark.parametrize("ids", [["100", "102", "105"], [str(n) for n in range(100, 162, 2)]])
def test_products_of_other_portraits_are_refused(collection, tmp_path, ids):
    other = tmp_path / "other.parquet"
    write_shard(other, [{"id": id, "x": 1.0} for id in ids], pa.schema([("id", pa.string()), ("x", pa.float32())]))
    with pytest.raises(BadInput, match=r"other.parquet: row \d+ has id"):
        list(joined_rows((collection["portraits"][:1], ["tags"]), ([other], ["x"])))


def test_a_draw_is_stable():
    ids = [str(n) for n in range(300)]
    chosen = drawn(ids, 50, "salt")
    assert len(set(chosen)) == 50
    assert drawn(ids[::-1], 50, "salt") == chosen
    assert drawn(ids, 50, "other salt") != chosen
    assert set(drawn([*ids, "new"], 51, "salt")) >= set(chosen)
    assert len(drawn(ids, 1000, "salt")) == 300


def test_about_the_asked_share_is_held_out():
    assert 60 < sum(held_out(str(n), 0.08) for n in range(1000)) < 100
    assert not any(held_out(str(n), 0) for n in range(1000))


def test_only_the_wanted_are_decoded(collection, mask):
    images, masks = (
        images_of(collection["portraits"], ["104", "101"]),
        masks_of(collection["pseudo_labels"], ["104", "159"]),
    )
    assert images.keys() == {"104", "101"}
    assert images["104"].shape == (32, 32, 3)
    assert masks.keys() == {"104", "159"}
    np.testing.assert_array_equal(masks["159"], mask)
