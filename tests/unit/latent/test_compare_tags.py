"""How far the sources of tags agree."""

import json

import pytest

from facemill.config.latent import TagsConfig
from facemill.data.shards import write_shard
from facemill.latent.compare_tags import agreement, compare_tags
from facemill.latent.tag_portraits import TAG_SCHEMA, tag_row

HAIR = {"black_hair": ["#202024"], "red_hair": ["#c02020"], "grey_hair": ["#c4c6cc"]}
GROUPS = {"hair_color": list(HAIR)}


def test_agreement_of_two_sources():
    pairs = [("black_hair", "black_hair")] * 6 + [("red_hair", "red_hair")] * 2 + [("red_hair", "black_hair")] * 2
    assigned = [{"tags": {a: 1.0}, "color": {b: 0.9}} for a, b in pairs] + [{"tags": {"red_hair": 1.0}, "color": {}}]
    rows = [tag_row(str(i), tags, GROUPS, None) for i, tags in enumerate(assigned)]
    values = agreement(rows, GROUPS, ["tags", "color"])["hair_color"]
    assert values["names"] == {"black_hair": 6, "red_hair": 5, "grey_hair": 0} and values["unnamed"] == 0
    chance = 0.6 * 0.8 + 0.4 * 0.2
    expected = {"images": 10, "agreement": 0.8, "kappa": pytest.approx((0.8 - chance) / (1 - chance))}
    assert values["tags_color"] == expected
    assert agreement([], GROUPS, ["tags", "color"])["hair_color"]["tags_color"]["agreement"] is None


def test_compare_tags_reads_shards_of_tags(tmp_path):
    names = ["black_hair", "red_hair", "red_hair"]
    rows = [tag_row(str(i), {"tags": {n: 1.0}, "color": {n: 0.9}}, GROUPS, None) for i, n in enumerate(names)]
    write_shard(tmp_path / "tags.parquet", rows, TAG_SCHEMA)
    tags_config = TagsConfig(sources=["tags", "color"], hair_colors=HAIR)
    compare_tags(tags=[tmp_path / "tags.parquet"], tags_config=tags_config, metrics=tmp_path / "metrics.json")
    assert json.loads((tmp_path / "metrics.json").read_text())["hair_color"] == {
        "names": {"black_hair": 1, "red_hair": 2, "grey_hair": 0},
        "unnamed": 0,
        "tags_color": {"images": 3, "agreement": 1.0, "kappa": 1.0},
    }
