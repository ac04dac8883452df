"""Conditions from tags: names, slots, and what is refused."""

import pyarrow as pa
import pytest
import torch

from facemill.data.shards import write_shard
from facemill.errors import UserError
from facemill.stylegan.conditions import combination_shares, read_conditions

SCHEMA = pa.schema([("id", pa.string()), ("tags", pa.list_(pa.string())), ("hair_color", pa.string())])


def everyone(row_id: str) -> bool:
    return True


@pytest.fixture
def tags(tmp_path):
    """Two shards: six portraits of black hair, four of red, one of green, one of none; two of three smile."""
    colors = ["black_hair"] * 6 + ["red_hair"] * 4 + ["green_hair", None]
    rows = [
        {"id": str(i), "tags": ["smile", "solo"] if i % 3 else ["solo"], "hair_color": color}
        for i, color in enumerate(colors)
    ]
    paths = [tmp_path / "shard-0000.parquet", tmp_path / "shard-0001.parquet"]
    for path, part in zip(paths, (rows[:7], rows[7:]), strict=True):
        write_shard(path, part, SCHEMA)
    return paths


def test_names_are_those_of_enough_portraits_and_the_others_count_as_none(tags, caplog):
    conditions = read_conditions(tags, ["hair_color", "smile"], 2, everyone)
    assert conditions.names == {"hair_color": ["black_hair", "red_hair"], "smile": ["smile"]}
    assert [conditions.slots[str(i)] for i in (0, 1, 6, 10, 11)] == [(0, 1), (0, 0), (1, 1), (2, 0), (2, 0)]
    assert conditions.none == (2, 1)
    assert "fewer than 2 portraits, so counted as none: green_hair 1" in caplog.text
    assert read_conditions(tags, ["hair_color"], 1, everyone).names["hair_color"] == [
        "black_hair",
        "green_hair",
        "red_hair",
    ]


def test_without_groups_nothing_is_read():
    conditions = read_conditions([], [], 1, everyone)
    assert (conditions.names, conditions.slots, conditions.none) == ({}, {}, ())


@pytest.mark.parametrize(
    ("group", "min_images", "counts"),
    [("solo", 1, "solo 12"), ("hat", 1, "none has any"), ("hair_color", 50, "black_hair 6, green_hair 1, red_hair 4")],
)
def test_a_group_of_one_kind_is_refused_with_the_counts(tags, group, min_images, counts):
    with pytest.raises(UserError, match=rf"stylegan.conditions: found '{group}', .*\({counts}.*\); accepted: .*two"):
        read_conditions(tags, [group], min_images, everyone)


def test_only_portraits_of_the_training_are_counted_and_all_have_slots(tags, caplog):
    learned = {"1", "2", "4", "5", "7", "8"}  # four of black hair, two of red; all smile
    conditions = read_conditions(tags, ["hair_color"], 2, learned.__contains__)
    assert conditions.names == {"hair_color": ["black_hair", "red_hair"]}
    assert conditions.slots["6"] == (1,) and conditions.slots["10"] == (2,)
    assert "green_hair" not in caplog.text, "of no portrait that is learned from"
    assert read_conditions(tags, ["hair_color"], 3, learned.__contains__).names == {"hair_color": ["black_hair"]}
    with pytest.raises(UserError, match=r"of which the portraits of the training have one kind \(smile 6\)"):
        read_conditions(tags, ["smile"], 1, learned.__contains__)


def test_combinations_have_the_shares_of_the_portraits():
    combinations, shares = combination_shares([(1, 0), (0, 1), (1, 0), (1, 0)])
    assert combinations.tolist() == [[0, 1], [1, 0]] and shares.tolist() == [0.25, 0.75]
    combinations, shares = combination_shares([(), ()])
    assert combinations.shape == (1, 0) and torch.equal(shares, torch.ones(1))
