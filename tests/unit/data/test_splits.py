from collections import Counter

from facemill.data.splits import hash_fraction, leaders, part


def test_fractions_are_stable_uniform_and_differ_between_salts():
    assert hash_fraction("123", "labels-1") == hash_fraction("123", "labels-1")
    found = [hash_fraction(str(i), "a") for i in range(4000)]
    assert all(0 <= f < 1 for f in found)
    counts = Counter(int(10 * f) for f in found)
    assert all(abs(counts[i] - 400) < 100 for i in range(10))
    agree = sum((hash_fraction(str(i), "a") < 0.5) == (hash_fraction(str(i), "b") < 0.5) for i in range(4000))
    assert abs(agree - 2000) < 200


def test_parts_have_their_shares_and_grow_without_moving():
    ids = [str(i) for i in range(4000)]
    parts = {id: part(id, "s", validation=0.1, test=0.25) for id in ids}
    counts = Counter(parts.values())
    assert abs(counts["test"] - 1000) < 120 and abs(counts["validation"] - 400) < 80
    assert counts["train"] == 4000 - counts["test"] - counts["validation"]
    more = {id: part(id, "s", validation=0.2, test=0.25) for id in ids}
    assert all(more[id] == parts[id] for id in ids if parts[id] != "train")


def test_no_share_keeps_nothing_from_training():
    assert {part(str(i), "s", 0, 0) for i in range(200)} == {"train"}


def test_leaders_are_the_first_of_all_that_hang_together():
    ids = ["3", "10", "a", "b", "c"]
    assert leaders(ids, []) == {id: id for id in ids}
    assert leaders(ids, [(1, 3), (3, 4)]) == {"3": "3", "10": "10", "a": "a", "b": "10", "c": "10"}
