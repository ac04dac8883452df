"""Taggers that the config names, and the tags that they assign."""

import numpy as np
import pytest
from helpers.tagger_files import I2V_SIZE, write_i2v

from facemill.config.latent import TagsConfig
from facemill.errors import UserError
from facemill.latent.tag_portraits import tag_row
from facemill.latent.tag_sources import assign_tags, group_names, load_tagger
from facemill.taggers.local import CollectionTagger
from facemill.taggers.tagger import TaggerInput

HAIR = {"black_hair": ["#202024"], "red_hair": ["#c02020"], "grey_hair": ["#c4c6cc"]}
GROUPS = {"hair_color": list(HAIR)}


def test_groups_without_names_are_left_out():
    assert group_names(TagsConfig(sources=["color"], hair_colors=HAIR, eye_colors={})) == GROUPS


def test_two_hair_colors_of_one_source_are_none():
    portraits = [
        TaggerInput(np.zeros((2, 2, 3), np.uint8), tags) for tags in (["black_hair", "red_hair"], ["red_hair"])
    ]
    assigned = assign_tags({"tags": CollectionTagger(list(HAIR))}, portraits, GROUPS, [])
    rows = [tag_row(str(i), tags, GROUPS, None) for i, tags in enumerate(assigned)]
    assert [row["hair_color"] for row in rows] == [None, "red_hair"]
    assert rows[0]["tags"] == ["black_hair", "red_hair"]


def test_a_network_needs_its_folder():
    with pytest.raises(ValueError, match="i2v: found nothing; accepted: the folder"):
        TagsConfig(sources=["i2v"], hair_colors=HAIR)


def test_a_tagger_that_knows_none_of_the_tags_is_refused(tmp_path):
    layers = {"encode1": (np.zeros((4, 3, 8, 8)), np.zeros(4)), "conv6_4": (np.zeros((5, 3, 3, 3)), np.zeros(5))}
    tags_config = TagsConfig(
        sources=["i2v"], i2v=write_i2v(tmp_path / "i2v", layers), hair_colors={"grey_hair": ["#c4c6cc"]}
    )
    portraits = [TaggerInput(np.zeros((I2V_SIZE, I2V_SIZE, 3), np.uint8))]
    with pytest.raises(UserError, match="tags.sources: found 'i2v', which knows no tag of the config, such as 'grey"):
        assign_tags({"i2v": load_tagger("i2v", tags_config, [])}, portraits, group_names(tags_config), [])
