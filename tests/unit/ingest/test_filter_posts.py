import datetime
from pathlib import Path

import pytest
from PIL import Image

from facemill.config.ingest import FilterConfig
from facemill.data.shards import shard_of, sort_key
from facemill.errors import UserError
from facemill.ingest.filter_posts import filter_posts, plot_funnel, rules, select
from facemill.ingest.posts import Collection
from facemill.ingest.selected import read_selected, write_selected


@pytest.fixture
def posts(tmp_path: Path):
    """A function that writes posts with ids from 0, a few in each row group."""

    def write(*rows: dict) -> Path:
        with Collection(tmp_path / "posts.parquet", tmp_path / "rejects.parquet") as collection:
            for start in range(0, len(rows), 7):
                filled = [_usual(str(start + i)) | row for i, row in enumerate(rows[start : start + 7])]
                collection.add({name: [row[name] for row in filled] for name in filled[0]}, len(filled))
        return tmp_path / "posts.parquet"

    return write


def _usual(post_id: str) -> dict:
    """A post that passes every rule used here."""
    return {
        "id": post_id, "rating": "s", "score": 5, "fav_count": 5, "width": 300, "height": 300, "tags_general": ["solo"],
        "tags_character": [], "created_at": datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
    }  # fmt: skip


def at(text: str) -> dict:
    return {"created_at": datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)}


@pytest.mark.parametrize(
    ("settings", "kept", "removed"),
    [
        ({"ratings": ["g", "s"]}, [{"rating": "g"}, {"rating": "s"}], [{"rating": "q"}, {"rating": None}]),
        ({"min_score": 0}, [{"score": 0}], [{"score": -1}, {"score": None}]),
        ({"min_favorites": 3}, [{"fav_count": 3}], [{"fav_count": 2}, {"fav_count": None}]),
        ({"min_size": 256}, [{"width": 256}], [{"width": 255}, {"height": 9}, {"width": None, "height": None}]),
        ({"created_after": "2012-05-01"}, [at("2012-05-01")], [at("2012-04-30T23:59:59.999"), {"created_at": None}]),
        ({"created_before": "2012-05-01"}, [at("2012-04-30T23:59:59.999")], [at("2012-05-01"), {"created_at": None}]),
        (
            {"tags_all": ["a", "b"]},
            [{"tags_general": ["b", "c", "a"]}],
            [{"tags_general": ["a"]}, {"tags_general": []}],
        ),
        ({"tags_all": ["rem_*"]}, [{"tags_character": ["rem_(re:zero)"]}], [{"tags_general": ["rem", "x_rem_"]}]),
        (
            {"tags_none": ["*_hat", "c*p"]},
            [{"tags_general": ["hat"]}],
            [{"tags_general": ["a", "top_hat"]}, {"tags_general": ["cap"]}],
        ),
        (
            {"tags_any": [".*", "a+"]},
            [{"tags_general": [".x"]}, {"tags_general": ["a+"]}],
            [{"tags_general": ["ab", "aa"]}],
        ),
        ({"min_aspect": 1}, [{"height": 300}], [{"height": 299}, {"width": None}]),
        ({"max_aspect": 2}, [{"height": 600}], [{"height": 601}, {"height": None}]),
        ({"max_age": 3}, [at("2019-12-29"), {}], [at("2019-12-28T23:59:59"), {"created_at": None}]),
        ({"tags_any": ["a", "b"]}, [{"tags_general": ["b"]}], [{"tags_general": ["c"]}, {"tags_general": []}]),
        (
            {"tags_none": ["a", "b"]},
            [{"tags_general": ["ab"]}, {"tags_general": []}],
            [{"tags_general": ["c", "b"]}, {"tags_general": ["a"]}],
        ),
        ({}, [{"score": None, "tags_general": []}], []),
    ],
)
def test_each_rule(posts, settings: dict, kept: list[dict], removed: list[dict]):
    selected, _ = select(posts(*kept, *removed), FilterConfig(**settings), 1)
    assert selected["id"].to_list() == [str(i) for i in range(len(kept))]


def test_the_funnel_counts_alone_and_in_order(posts):
    table = posts({}, {"rating": "q"}, {"rating": "q", "score": -1}, {"score": -1}, {"tags_general": ["lying", "solo"]})
    kept, funnel = select(table, FilterConfig(ratings=["s"], min_score=0, tags_all=["solo"], tags_none=["lying"]), 1)
    assert kept["id"].to_list() == ["0"]
    assert funnel.rows() == [
        ("all posts", 0, 0, 5),
        ("rating is s", 2, 2, 3),
        ("score >= 0", 2, 1, 2),
        ("has solo", 0, 0, 2),
        ("has no lying", 1, 1, 1),
    ]


def test_a_limit_draws_by_id_and_seed(posts):
    table = posts(*[{}] * 50)
    first, funnel = select(table, FilterConfig(limit=10), 1)
    assert len(first) == 10 and first["id"].to_list() == sorted(first["id"], key=int)
    assert funnel.rows()[-1] == ("at most 10", 40, 40, 10)
    assert set(select(table, FilterConfig(limit=10), 2)[0]["id"]) != set(first["id"])
    assert len(select(table, FilterConfig(limit=99), 1)[0]) == 50
    assert len(set(select(posts(*[{}] * 49), FilterConfig(limit=10), 1)[0]["id"]) & set(first["id"])) >= 9


def test_kept_posts_have_all_their_tags_and_lie_by_shards(posts, tmp_path: Path):
    kept, _ = select(posts(*[{"tags_character": [f"c{i}"]} for i in range(20)]), FilterConfig(min_score=0), 1)
    assert kept["tags"].to_list() == [["solo", f"c{i}"] for i in range(20)]
    write_selected(kept.to_arrow(), 3, tmp_path / "selected.parquet")
    for shard in range(3):
        rows = read_selected(tmp_path / "selected.parquet", shard)
        ids = sorted((post_id for post_id in kept["id"] if shard_of(post_id, 3) == shard), key=sort_key)
        assert [row["id"] for row in rows] == ids and rows[0]["tags"] == ["solo", f"c{ids[0]}"]


def test_no_posts_at_all(posts, tmp_path: Path):
    with Collection(tmp_path / "posts.parquet", tmp_path / "rejects.parquet"):
        pass
    kept, funnel = select(tmp_path / "posts.parquet", FilterConfig(tags_all=["solo"], max_age=3), 1)
    assert kept.is_empty() and funnel["left"].to_list() == [0, 0, 0]


def test_long_lists_of_tags_are_shortened_in_the_name():
    assert list(rules(FilterConfig(tags_any=list("abcde")))) == ["has a or b or c or 2 more"]


def test_the_picture_shows_the_funnel(posts, tmp_path: Path):
    _, short = select(posts({}, {}), FilterConfig(), 1)
    _, long = select(posts({}, {"score": -1}), FilterConfig(min_score=0, min_size=1, tags_all=["solo"]), 1)
    sizes = []
    for name, funnel in (("short", short), ("long", long)):
        plot_funnel(funnel, tmp_path / f"{name}.png")
        with Image.open(tmp_path / f"{name}.png") as picture:
            sizes.append(picture.size)
    assert sizes[0][0] == sizes[1][0] and sizes[1][1] > sizes[0][1] + 100


@pytest.mark.parametrize(
    ("settings", "blamed"),
    [
        ({"min_score": 9, "tags_all": ["a", "solo"]}, "'score >= 9', 'has a' alone remove 3; accepted"),
        ({"min_score": 6, "min_favorites": 6, "limit": 1}, "'score >= 6' alone removes 2; accepted"),
    ],
)
def test_criteria_that_no_post_meets_are_named_all(tmp_path, posts, settings, blamed):
    table = posts({"score": 8, "fav_count": 5}, {"fav_count": 7}, {"fav_count": 8})
    outputs = {"selected": tmp_path / "s", "funnel": tmp_path / "f", "picture": tmp_path / "p.png"}
    with pytest.raises(UserError, match=f"^filter: none of 3 posts is left; {blamed}"):
        filter_posts(posts=table, settings=FilterConfig(**settings), seed=1, shards=1, **outputs)
    assert not outputs["selected"].exists()
