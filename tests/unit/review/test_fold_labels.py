"""Folds of labelled portraits."""

from collections import Counter

import pytest
from unit.label.test_augment_labels import SETTINGS
from unit.label.test_convert_labels import pictured

from facemill.data.shards import read_rows, write_shard
from facemill.errors import UserError
from facemill.label.augment_labels import augmented
from facemill.label.convert_labels import SCHEMA, near_duplicates_of
from facemill.review.fold_labels import folds_of

IDS = [str(i) for i in range(41)]


def test_every_portrait_is_in_one_fold_of_even_size():
    found = folds_of(IDS, {id: id for id in IDS}, 4, seed=1)
    assert list(found) == IDS and sorted(Counter(found.values()).values()) == [10, 10, 10, 11]
    assert folds_of(IDS, {id: id for id in IDS}, 4, seed=2) != found


def test_near_duplicates_share_a_fold():
    found = folds_of(IDS, {id: str(int(id) // 4) for id in IDS}, 3, seed=1)
    assert all(found[id] == found[str(int(id) // 4 * 4)] for id in IDS) and len(set(found.values())) == 3


def test_fewer_groups_than_folds_are_refused():
    with pytest.raises(UserError, match=r"label_quality.folds: found 4; accepted: up to 2, for 6 portraits"):
        folds_of(IDS[:6], {id: str(int(id) // 3) for id in IDS}, 4, seed=1)


def test_the_command_holds_out_each_portrait_once(tmp_path, script):
    rows = [pictured(str(i), i) for i in range(10)]
    parts = [tmp_path / "train.parquet", tmp_path / "test.parquet"]
    write_shard(parts[0], rows[::2], SCHEMA)
    write_shard(parts[1], rows[1::2], SCHEMA)
    held = []
    for fold in range(3):
        out = {"train": tmp_path / f"{fold}/train.parquet", "held_out": tmp_path / f"{fold}/held_out.parquet"}
        script("fold_labels")(labels=parts, fold=fold, folds=3, settings=SETTINGS, seed=1, **out)
        ids = [row["id"] for row in read_rows([out["held_out"]])]
        copies = list(read_rows([out["train"]]))
        assert {row["id"].split("-")[0] for row in copies} == {row["id"] for row in rows} - set(ids)
        assert copies == augmented([row for row in rows if row["id"] not in ids], SETTINGS, 1)
        held += ids
    assert sorted(held) == sorted(row["id"] for row in rows)
    place = folds_of([row["id"] for row in rows], near_duplicates_of(rows), 3, 1)
    assert held == sorted(held, key=lambda id: (place[id], int(id)))
