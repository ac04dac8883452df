"""Tags of portraits from several sources, and the colors of their regions."""

import numpy as np
import pytest
from helpers.colorist import EIGHT
from skimage.color import deltaE_ciede2000, rgb2lab

from facemill.config.latent import TagsConfig
from facemill.data.shards import read_rows
from facemill.latent.tag_portraits import TAG_SCHEMA, tag_portraits, tag_row

HAIR = {"black_hair": ["#202024"], "red_hair": ["#c02020"], "grey_hair": ["#c4c6cc"]}
GROUPS = {"hair_color": list(HAIR)}


def test_the_first_source_with_a_name_gives_it():
    assigned = {"tags": {"smile": 1.0}, "color": {"red_hair": 0.75}, "i2v": {"black_hair": 0.5}}
    row = tag_row("7", assigned, GROUPS, {"hair": np.array([40.0, 50.0, 30.0]), "eye": None})
    assert row.keys() == set(TAG_SCHEMA.names)
    assert (row["hair_color"], row["hair_color_probability"], row["hair_color_source"]) == ("red_hair", 0.75, "color")
    assert list(zip(row["tags"], row["tag_probabilities"], row["tag_sources"], strict=True)) == [
        ("smile", 1.0, "tags"),
        ("red_hair", 0.75, "color"),
        ("black_hair", 0.5, "i2v"),
    ]
    assert row["eye_color"] is None and row["eye"] is None and row["hair"][0] == 40


@pytest.mark.parametrize("sources", [["color"], ["tags"], ["tags", "color"]])
def test_tag_portraits_names_every_portrait(collection, tmp_path, sources):
    portraits, pseudo_labels = collection["portraits"][0], collection["pseudo_labels"][0]
    tags_config, tags = TagsConfig(sources=sources, hair_colors=HAIR), tmp_path / "tags.parquet"
    options = {"portraits": portraits, "pseudo_labels": pseudo_labels, "booleans": ["solo"]}
    tag_portraits(tags_config=tags_config, **options, tags=tags)
    first = tags.read_bytes()
    rows, truth = list(read_rows([tags])), list(read_rows([portraits]))
    assert [(row["id"], row["hair_color"]) for row in rows] == [(row["id"], row["tags"][0]) for row in truth]
    assert all(row["hair_color_source"] == sources[0] for row in rows)
    assert all((row["hair_color_probability"] == 1) == (sources[0] == "tags") for row in rows)
    assert all(("solo" in row["tags"]) == ("tags" in sources) for row in rows)
    assert all(deltaE_ciede2000(row["skin"], rgb2lab(np.array([220, 170, 140]) / 255)) < 2 for row in rows)

    tag_portraits(tags_config=tags_config, **options, tags=tags)
    assert tags.read_bytes() == first


@pytest.mark.parametrize("classes", [EIGHT])
def test_regions_follow_the_roles_of_the_masks_table(collection, tmp_path, classes):
    tags_config, tags = TagsConfig(sources=["color"], hair_colors=HAIR), tmp_path / "tags.parquet"
    portraits, pseudo_labels = collection["portraits"][0], collection["pseudo_labels"][0]
    tag_portraits(tags_config=tags_config, portraits=portraits, pseudo_labels=pseudo_labels, tags=tags)
    rows, truth = list(read_rows([tags])), list(read_rows([portraits]))
    assert [row["hair_color"] for row in rows] == [row["tags"][0] for row in truth]  # of two classes
    assert all(row["clothes"] is None and row["skin"] is not None for row in rows)


def test_without_masks_there_are_no_colors(collection, tmp_path):
    tags_config, tags = TagsConfig(sources=["tags"], hair_colors=HAIR), tmp_path / "tags.parquet"
    tag_portraits(tags_config=tags_config, portraits=collection["portraits"][0], tags=tags)
    assert all(row["hair"] is None and row["hair_color"] in HAIR for row in read_rows([tags]))
