from collections import Counter

from facemill.data.splits import group_representatives, hash_fraction, split_of

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
