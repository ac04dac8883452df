"""Folds of labelled portraits for cross-validation."""

from collections import Counter

import pytest
from helpers.label_files import noise_row

from facemill.config.label import AugmentConfig
from facemill.data.classes import SEVEN
from facemill.data.shards import mask_classes, read_rows, write_shard
from facemill.errors import UserError
from facemill.label.augment_labels import augment_rows
from facemill.label.labelled_rows import SCHEMA, duplicate_groups
from facemill.review.fold_labels import assign_folds, fold_labels

SETTINGS = AugmentConfig(copies=2, rotation=15, scale=0.15, warp=0.03)
IDS = [str(i) for i in range(41)]


def test_every_portrait_is_in_one_fold_of_even_size():
    folds = assign_folds(IDS, {key: key for key in IDS}, 4, seed=1)
    assert list(folds) == IDS and sorted(Counter(folds.values()).values()) == [10, 10, 10, 11]
    assert assign_folds(IDS, {key: key for key in IDS}, 4, seed=2) != folds


def test_near_duplicates_share_a_fold():
    folds = assign_folds(IDS, {key: str(int(key) // 4) for key in IDS}, 3, seed=1)
    assert all(folds[key] == folds[str(int(key) // 4 * 4)] for key in IDS) and len(set(folds.values())) == 3


def test_portraits_of_an_image_share_a_fold():
    rows = [noise_row(f"{i // 2}#2" if i % 2 else f"{i // 2}", i) for i in range(20)]
    folds = assign_folds([row["id"] for row in rows], duplicate_groups(rows), 4, seed=1)
    assert all(folds[str(i)] == folds[f"{i}#2"] for i in range(10)) and len(set(folds.values())) == 4


def test_fewer_groups_than_folds_are_refused():
    with pytest.raises(UserError, match=r"label_quality.folds: found 4; accepted: up to 2, for 6 portraits"):
        assign_folds(IDS[:6], {key: str(int(key) // 3) for key in IDS}, 4, seed=1)


def test_each_portrait_is_held_out_once(tmp_path):
    rows = [noise_row(str(i), i) for i in range(10)]
    labels = [tmp_path / "train.parquet", tmp_path / "test.parquet"]
    write_shard(labels[0], rows[::2], SCHEMA, SEVEN)
    write_shard(labels[1], rows[1::2], SCHEMA, SEVEN)
    all_held_out = []
    for fold in range(3):
        out = {"train": tmp_path / f"{fold}/train.parquet", "held_out": tmp_path / f"{fold}/held_out.parquet"}
        fold_labels(labels=labels, fold=fold, folds=3, settings=SETTINGS, seed=1, **out)
        assert mask_classes([*out.values()]) == SEVEN
        ids = [row["id"] for row in read_rows([out["held_out"]])]
        others = [row for row in rows if row["id"] not in ids]
        assert list(read_rows([out["train"]])) == augment_rows(others, SEVEN, SETTINGS, 1)
        all_held_out += ids
    assert sorted(all_held_out) == sorted(row["id"] for row in rows)
    folds = assign_folds([row["id"] for row in rows], duplicate_groups(rows), 3, 1)
    assert all_held_out == sorted(all_held_out, key=lambda key: (folds[key], int(key)))
