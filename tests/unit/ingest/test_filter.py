import datetime
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from facemill.config import Filter
from facemill.ingest.filter import plot_funnel, rules, select
from facemill.ingest.posts import POSTS


def posts(*rows: dict) -> pl.DataFrame:
    """Posts with ids from 0; what a row leaves out passes every rule used here."""
    usual = {
        "rating": "s", "score": 5, "fav_count": 5, "width": 300, "height": 300, "tags": ["solo"],
        "created_at": datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
    }  # fmt: skip
    return pl.DataFrame([usual | {"id": str(i)} | row for i, row in enumerate(rows)], POSTS)


def at(text: str) -> dict:
    return {"created_at": datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)}


@pytest.mark.parametrize(
    ("settings", "kept", "removed"),
    [
        ({"ratings": ["g", "s"]}, [{"rating": "g"}, {"rating": "s"}], [{"rating": "q"}, {"rating": None}]),
        ({"min_score": 0}, [{"score": 0}], [{"score": -1}, {"score": None}]),
        ({"min_favourites": 3}, [{"fav_count": 3}], [{"fav_count": 2}, {"fav_count": None}]),
        ({"min_size": 256}, [{"width": 256}], [{"width": 255}, {"height": 9}, {"width": None, "height": None}]),
        ({"created_after": "2012-05-01"}, [at("2012-05-01")], [at("2012-04-30T23:59:59.999"), {"created_at": None}]),
        ({"created_before": "2012-05-01"}, [at("2012-04-30T23:59:59.999")], [at("2012-05-01"), {"created_at": None}]),
        ({"tags_all": ["a", "b"]}, [{"tags": ["b", "c", "a"]}], [{"tags": ["a"]}, {"tags": []}]),
        ({"tags_any": ["a", "b"]}, [{"tags": ["b"]}], [{"tags": ["c"]}, {"tags": []}]),
        ({"tags_none": ["a", "b"]}, [{"tags": ["ab"]}, {"tags": []}], [{"tags": ["c", "b"]}, {"tags": ["a"]}]),
        ({}, [{"score": None, "tags": []}], []),
    ],
)
def test_each_rule(settings: dict, kept: list[dict], removed: list[dict]):
    found, _ = select(posts(*kept, *removed), Filter(**settings), 1)
    assert found["id"].to_list() == [str(i) for i in range(len(kept))]


def test_the_funnel_counts_alone_and_in_order():
    table = posts({}, {"rating": "q"}, {"rating": "q", "score": -1}, {"score": -1}, {"tags": ["lying", "solo"]})
    kept, funnel = select(table, Filter(ratings=["s"], min_score=0, tags_all=["solo"], tags_none=["lying"]), 1)
    assert kept["id"].to_list() == ["0"]
    assert funnel.rows() == [
        ("all posts", 0, 0, 5),
        ("rating is s", 2, 2, 3),
        ("score >= 0", 2, 1, 2),
        ("has solo", 0, 0, 2),
        ("has no lying", 1, 1, 1),
    ]


def test_a_limit_draws_by_id_and_seed():
    table = posts(*[{}] * 50)
    first, funnel = select(table, Filter(limit=10), 1)
    assert len(first) == 10 and first["id"].to_list() == sorted(first["id"], key=int)
    assert funnel.rows()[-1] == ("at most 10", 40, 40, 10)
    assert first.equals(
        select(table.sample(fraction=1, shuffle=True, seed=1), Filter(limit=10), 1)[0].sort(pl.col("id").cast(int))
    )
    assert set(select(table, Filter(limit=10), 2)[0]["id"]) != set(first["id"])
    assert len(set(select(table[:-1], Filter(limit=10), 1)[0]["id"]) & set(first["id"])) >= 9
    assert len(select(table, Filter(limit=99), 1)[0]) == 50


def test_long_lists_of_tags_are_shortened_in_the_name():
    assert list(rules(Filter(tags_any=list("abcde")))) == ["has a or b or c or 2 more"]


def test_the_picture_shows_the_funnel(tmp_path: Path):
    _, short = select(posts({}, {}), Filter(), 1)
    _, long = select(posts({}, {"score": -1}), Filter(min_score=0, min_size=1, tags_all=["solo"]), 1)
    sizes = []
    for name, funnel in (("short", short), ("long", long)):
        plot_funnel(funnel, tmp_path / f"{name}.png")
        with Image.open(tmp_path / f"{name}.png") as picture:
            sizes.append(picture.size)
    assert sizes[0][0] == sizes[1][0] and sizes[1][1] > sizes[0][1] + 100
