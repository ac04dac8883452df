"""Numbers of portraits, and where too few of them stop the run."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from facemill.data.shards import write_shard, write_table
from facemill.data.splits import held_out
from facemill.errors import UserError
from facemill.latent.evaluate_attributes import halves
from facemill.synthesize.count_portraits import count_portraits, shortages

SCHEMA = pa.schema([("id", pa.string()), ("split", pa.string())])


@pytest.fixture
def count(tmp_path):
    """A function that counts portraits of ids, in two shards, and gives the numbers."""

    def counted(ids: list[str], labelled: list[str] | None = None, split: str | None = None, **options) -> dict:
        shards, rejects = [tmp_path / "0", tmp_path / "1"], tmp_path / "rejects"
        for number, path in enumerate(shards):
            write_shard(path, [{"id": row_id, "split": split} for row_id in ids[number::2]], SCHEMA)
        write_table(rejects, pa.table({"id": ["x", "y"], "reason": ["an empty file", "an empty file"]}))
        files: dict[str, list[Path]] = {"portraits": shards, "rejects": [rejects]}
        if labelled is not None:
            files["labelled"] = [tmp_path / "labelled"]
            write_shard(tmp_path / "labelled", [{"id": row_id} for row_id in labelled], SCHEMA)
        settings = {"holdout": 0.25, "min_images": 1} | options
        count_portraits(**files, **settings, counts=tmp_path / "counts.json")
        return json.loads((tmp_path / "counts.json").read_text())

    return counted


def test_portraits_are_counted_by_what_they_are_for(count):
    ids = [str(number) for number in range(100)]
    chosen = sum(held_out(row_id, 0.25) for row_id in ids)
    assert count(ids, labelled=["3", "200"]) == {
        "portraits": 100,
        "trained_on": 100 - chosen,
        "held_out": chosen,
        "unlabelled": 99,
    }
    assert "unlabelled" not in count(ids)


def test_a_share_that_holds_out_too_few_is_refused_with_one_that_does(count):
    ids = [f"pic{number:02}" for number in range(12)]
    with pytest.raises(
        UserError, match=r"^holdout: found 0.08, which holds out 0 of 12 portraits; .* such as 0\.15"
    ) as e:
        count(ids, holdout=0.08, min_images=20)
    assert "\nattributes.min_images: found 20, which no two names reach among the 12 portraits" in str(e.value)
    assert count(ids, holdout=0.15, min_images=4)["held_out"] >= 2
    with pytest.raises(UserError, match="^attributes.min_images: found 20, .*; accepted: up to 4, or more portraits$"):
        count(ids, holdout=0.3, min_images=20)


@pytest.mark.parametrize("holdout", [0.01, 0.05, 0.2, 0.5])
def test_what_is_enough_leaves_portraits_in_both_halves_of_the_evaluation(holdout):
    for size in range(4, 60):
        ids = [f"{size}-{number}" for number in range(size)]
        chosen = [{"id": row_id} for row_id in ids if held_out(row_id, holdout)]
        assert (not shortages(ids, holdout, 1)) == (all(halves(chosen)) and size - len(chosen) >= 2)


def test_a_collection_without_portraits_is_refused_with_the_reasons_of_the_rejects(count):
    with pytest.raises(UserError, match="^portraits: 0 are left; accepted: 4 or more\n  2 times: an empty file: x, y$"):
        count([])


def test_self_training_without_unlabelled_portraits_is_refused(count):
    ids = [str(number) for number in range(100)]
    with pytest.raises(UserError, match="^self_training, distillation: all 100 portraits are of labelled images"):
        count([*ids[1:], "7#2"], labelled=ids)


def test_a_collection_of_its_own_test_split_alone_is_refused(count):
    with pytest.raises(UserError, match="^portraits: all are held out, or of the collection's own test split"):
        count([str(number) for number in range(100)], split="test")
