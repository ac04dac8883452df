import re
from collections import Counter

import pyarrow as pa
import pytest

from facemill.data.names import image_of
from facemill.data.shards import shard_of, write_shard
from facemill.data.splits import (
    group_representatives,
    hash_fraction,
    held_out,
    labels_split_of,
    other_shares,
    split_of,
    trained_on,
)

IDS = [str(i) for i in range(4000)]


def test_fractions_are_stable_uniform_and_differ_between_salts():
    assert hash_fraction("123", "labels-1") == hash_fraction("123", "labels-1")
    fractions = [hash_fraction(row_id, "a") for row_id in IDS]
    assert all(0 <= fraction < 1 for fraction in fractions)
    counts = Counter(int(10 * fraction) for fraction in fractions)
    assert all(abs(counts[i] - 400) < 100 for i in range(10))
    agree = sum((hash_fraction(row_id, "a") < 0.5) == (hash_fraction(row_id, "b") < 0.5) for row_id in IDS)
    assert abs(agree - 2000) < 200


def test_splits_have_their_shares_and_grow_without_moving():
    splits = {row_id: split_of(row_id, "s", validation=0.1, test=0.25) for row_id in IDS}
    counts = Counter(splits.values())
    assert abs(counts["test"] - 1000) < 120 and abs(counts["validation"] - 400) < 80
    assert counts["train"] == 4000 - counts["test"] - counts["validation"]
    larger = {row_id: split_of(row_id, "s", validation=0.2, test=0.25) for row_id in IDS}
    assert all(larger[row_id] == splits[row_id] for row_id in IDS if splits[row_id] != "train")


def test_without_shares_all_are_for_training():
    assert {split_of(row_id, "s", 0, 0) for row_id in IDS[:200]} == {"train"}


def test_representatives_are_the_first_of_their_connected_group():
    ids = ["3", "10", "a", "b", "c"]
    assert group_representatives(ids, []) == {row_id: row_id for row_id in ids}
    assert group_representatives(ids, [(1, 3), (3, 4)]) == {"3": "3", "10": "10", "a": "a", "b": "10", "c": "10"}


def test_numbered_names_of_files_are_images_of_their_own():
    """Only what portraits of one image are called counts as that."""
    assert [image_of(name) for name in ("a#2", "a#10", "#2")] == ["a", "a", "#2"]
    names = [f"girl#{i:03}" for i in range(1, 500)]
    assert [image_of(name) for name in [*names[:99], "a#1", "a#0"]] == [*names[:99], "a#1", "a#0"]
    assert 10 < sum(held_out(name, 0.08) for name in names[:99] * 4) < 80


def test_no_division_separates_the_portraits_of_an_image():
    for image in IDS:
        crops = [image, f"{image}#2", f"{image}#3"]
        assert len({held_out(crop, 0.08) for crop in crops}) == 1
        assert len({split_of(crop, "labels-1", 0.05, 0.2) for crop in crops}) == 1
        assert len({hash_fraction(crop, "halves") < 0.5 for crop in crops}) == 1


@pytest.mark.parametrize("image", ["girl", "girl#7", "girl#007", "a#b", "#2", "a#1#2", "7#2#3", "a#2\n", "\n", "5#x"])
def test_portraits_of_images_that_hold_the_sign_are_of_these_images(image):
    """Those of `girl#7` are `girl#7#2` and so on: nothing may come between, and all lie in one shard."""
    crops = [image, f"{image}#2", f"{image}#31"]
    assert {image_of(crop) for crop in crops} == {image_of(image)}
    assert len({hash_fraction(crop, "holdout") for crop in crops}) == 1
    assert len({shard_of(crop, 64) for crop in crops}) == 1


def test_names_of_files_that_hold_the_sign_are_spread_over_shards():
    assert len({shard_of(f"girl#{i:03}", 8) for i in range(100)}) == 8


def test_portraits_of_an_image_have_its_first_as_representative():
    ids = ["7", "9", "7#2", "9#2", "7#3"]
    assert group_representatives(ids, []) == {row_id: image_of(row_id) for row_id in ids}
    assert set(group_representatives(ids, [(1, 2)]).values()) == {"7"}


@pytest.mark.parametrize("name", ["#1", "a#b", "#", "a", "a#"])
def test_other_ids_are_images_of_their_own(name):
    assert image_of(name) == name


def test_the_official_test_split_is_not_trained_on(tmp_path):
    schema = pa.schema([("id", pa.string()), ("split", pa.string())])
    splits = ["train", "validation", "test", None]
    rows = [{"id": row_id, "split": splits[int(row_id) % 4]} for row_id in IDS[:400]]
    write_shard(tmp_path / "with.parquet", rows, schema)
    write_shard(tmp_path / "without.parquet", rows, schema.remove(1))
    with_split, without = (trained_on([tmp_path / f"{name}.parquet"], 0.1) for name in ("with", "without"))
    for row_id in IDS[:400]:
        assert without(row_id) != held_out(row_id, 0.1)
        assert with_split(row_id) == (without(row_id) and int(row_id) % 4 != 2)


@pytest.mark.parametrize("count", [3, 6, 8, 20])
def test_shares_and_a_seed_that_give_each_split_a_portrait_are_named(count):
    ids = [f"pic{number:02}" for number in range(count)]
    words = other_shares(ids, 1, 0.05, 0.2)
    validation, test, seed = map(float, re.findall(r"(?:validation|test|seed) ([\d.]+)", words))
    assert {labels_split_of(row_id, 1, validation, test) for row_id in ids} == {"train", "validation", "test"}
    assert {labels_split_of(row_id, int(seed), 0.05, 0.2) for row_id in ids} == {"train", "validation", "test"}


def test_of_fewer_than_three_portraits_no_shares_are_enough():
    assert other_shares(["a", "a", "b"], 1, 0.05, 0.2) == "3 or more that are no near-duplicates of each other, not 2"
    assert "seed" not in other_shares("abcdef", 1, 0, 0.2)  # no seed gives a share of 0 a portrait
