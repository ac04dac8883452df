import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from facemill.errors import UserError
from facemill.ingest.posts import TAG_COLUMNS, Collection


def test_columns_left_out_are_null_and_tags_empty(collect):
    posts, rejects = collect(lambda c: c.add({"id": ["1", "2"], "score": [3, None], "tags_artist": [["a"], []]}, 2))
    assert posts["score"].to_list() == [3, None] and posts["tags_artist"].to_list() == [["a"], []]
    assert posts["tags_general"].to_list() == [[], []] and posts["md5"].null_count() == 2
    assert all(posts.schema[column] == pl.List(pl.String) for column in TAG_COLUMNS)
    assert posts.schema["created_at"] == pl.Datetime("us", "UTC") and posts.schema["score"] == pl.Int32
    assert rejects.is_empty() and rejects.columns == ["source", "line", "id", "reason"]


def test_posts_and_rejects_of_many_calls(collect):
    def read(collection: Collection) -> None:
        for i in range(3):
            collection.add({"id": [f"{i}"]}, 1)
            collection.reject("f", "because", i, str(i))
        collection.reject_lines("g", "all", np.array([4, 5]), np.array([40, 50]))

    posts, rejects = collect(read)
    assert posts["id"].to_list() == ["0", "1", "2"]
    assert sorted(rejects.rows()) == [
        ("f", 0, "0", "because"), ("f", 1, "1", "because"), ("f", 2, "2", "because"),
        ("g", 4, "40", "all"), ("g", 5, "50", "all"),
    ]  # fmt: skip


def test_raw_bytes_in_names_are_spelled(collect):
    source = os.fsdecode(b"a.tar:\x8a.json")

    def read(collection: Collection) -> None:
        collection.reject(source, "because", 1, "1")
        collection.reject_lines(source, "all", np.array([2]), np.array([2]))

    assert collect(read)[1]["source"].to_list() == [r"a.tar:\x8a.json"] * 2


def test_attributes_are_booleans(collect):
    posts, _ = collect(
        lambda c: c.add({"id": ["1"], "attributes": [{"Smiling": True, "Male": False}]}, 1), ("Smiling", "Male")
    )
    assert posts["attributes"].to_list() == [{"Smiling": True, "Male": False}]


def test_nothing_is_written_when_reading_fails(tmp_path: Path):
    with pytest.raises(UserError), Collection(tmp_path / "posts.parquet", tmp_path / "rejects.parquet") as collection:
        collection.add({"id": ["1"]}, 1)
        raise UserError("no")
    assert list(tmp_path.iterdir()) == []


def test_broken_records_stop_the_run_only_above_their_share(collect):
    def read(collection: Collection) -> None:
        collection.reject_broken(Path("m.jsonl"), 7, "no id")
        collection.records = 100
        collection.check_broken(0.01)
        collection.reject_broken(Path("n.jsonl"), 7, "no id")
        collection.records = 99
        with pytest.raises(UserError, match="1 of 99 .* the first n.jsonl:7: no id; accepted: source.max_broken 0.01"):
            collection.check_broken(0.01)

    assert collect(read)[1]["reason"].to_list() == ["broken metadata: no id"] * 2
