"""Names of exclusive groups from several sources, and how far the sources agree."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.tagger_files import I2V_SIZE, write_i2v
from skimage.color import deltaE_ciede2000, rgb2lab

from facemill.config.latent import TagsConfig
from facemill.data.shards import read_rows
from facemill.errors import UserError
from facemill.latent.tag_portraits import TAG_SCHEMA, agreement, believed_tags, best, load_tagger, names_of, tag_row
from facemill.taggers.local import CollectionTagger
from facemill.taggers.tagger import TaggerInput

HAIR = {"black_hair": ["#202024"], "red_hair": ["#c02020"], "grey_hair": ["#c4c6cc"]}
GROUPS = {"hair_color": list(HAIR)}


def test_the_best_name_is_the_only_one():
    assert best({"a": 0.2, "b": 0.9, "c": 0.95}, ["a", "b"]) == ("b", 0.9)
    assert best({"a": 1.0, "b": 1.0}, ["a", "b"]) == (None, None)
    assert best({"a": 1.0}, ["b"]) == (None, None)


def test_groups_without_names_are_left_out():
    assert names_of(TagsConfig(sources=["color"], hair_colors=HAIR, eye_colors={})) == GROUPS


def test_the_first_source_with_a_name_gives_it():
    believed = {"tags": {"smile": 1.0}, "color": {"red_hair": 0.75}, "i2v": {"black_hair": 0.5}}
    row = tag_row("7", believed, GROUPS, {"hair": np.array([40.0, 50.0, 30.0]), "eye": None})
    assert row.keys() == set(TAG_SCHEMA.names)
    assert (row["hair_color"], row["hair_color_probability"], row["hair_color_source"]) == ("red_hair", 0.75, "color")
    assert list(zip(row["tags"], row["tag_probabilities"], row["tag_sources"], strict=True)) == [
        ("smile", 1.0, "tags"),
        ("red_hair", 0.75, "color"),
        ("black_hair", 0.5, "i2v"),
    ]
    assert row["eye_color"] is None and row["eye"] is None and row["hair"][0] == 40


def test_two_hair_colors_of_one_source_are_none():
    portraits = [
        TaggerInput(np.zeros((2, 2, 3), np.uint8), tags) for tags in (["black_hair", "red_hair"], ["red_hair"])
    ]
    believed = believed_tags({"tags": CollectionTagger(list(HAIR))}, portraits, GROUPS, [])
    rows = [tag_row(str(i), own, GROUPS, None) for i, own in enumerate(believed)]
    assert [row["hair_color"] for row in rows] == [None, "red_hair"]
    assert rows[0]["tags"] == ["black_hair", "red_hair"]


def test_agreement_of_two_sources():
    pairs = [("black_hair", "black_hair")] * 6 + [("red_hair", "red_hair")] * 2 + [("red_hair", "black_hair")] * 2
    believed = [{"tags": {a: 1.0}, "color": {b: 0.9}} for a, b in pairs] + [{"tags": {"red_hair": 1.0}, "color": {}}]
    rows = [tag_row(str(i), own, GROUPS, None) for i, own in enumerate(believed)]
    figures = agreement(rows, GROUPS, ["tags", "color"])["hair_color"]
    assert figures["names"] == {"black_hair": 6, "red_hair": 5, "grey_hair": 0} and figures["unnamed"] == 0
    chance = 0.6 * 0.8 + 0.4 * 0.2
    expected = {"images": 10, "agreement": 0.8, "kappa": pytest.approx((0.8 - chance) / (1 - chance))}
    assert figures["tags_color"] == expected
    assert agreement([], GROUPS, ["tags", "color"])["hair_color"]["tags_color"]["agreement"] is None


def test_a_network_needs_its_folder():
    with pytest.raises(ValueError, match="i2v: found nothing; accepted: the folder"):
        TagsConfig(sources=["i2v"], hair_colors=HAIR)


def test_a_tagger_that_knows_none_of_the_tags_is_refused(tmp_path):
    layers = {"encode1": (np.zeros((4, 3, 8, 8)), np.zeros(4)), "conv6_4": (np.zeros((5, 3, 3, 3)), np.zeros(5))}
    settings = TagsConfig(
        sources=["i2v"], i2v=write_i2v(tmp_path / "i2v", layers), hair_colors={"grey_hair": ["#c4c6cc"]}
    )
    portraits = [TaggerInput(np.zeros((I2V_SIZE, I2V_SIZE, 3), np.uint8))]
    with pytest.raises(UserError, match="tags.sources: found 'i2v', which knows no tag of the config, such as 'grey"):
        believed_tags({"i2v": load_tagger("i2v", settings, [])}, portraits, names_of(settings), [])


@pytest.mark.parametrize("sources", [["color"], ["tags"], ["tags", "color"]])
def test_tag_portraits_names_every_portrait(script, collection, tmp_path, sources):
    portraits, pseudo_labels = collection["portraits"][0], collection["pseudo_labels"][0]
    settings, out = TagsConfig(sources=sources, hair_colors=HAIR), tmp_path / "out.parquet"
    arguments = {"settings": settings, "portraits": portraits, "pseudo_labels": pseudo_labels, "booleans": ["solo"]}
    script("tag_portraits")(**arguments, out=out)
    first = out.read_bytes()
    rows, truth = list(read_rows([out])), list(read_rows([portraits]))
    assert [(row["id"], row["hair_color"]) for row in rows] == [(row["id"], row["tags"][0]) for row in truth]
    assert all(row["hair_color_source"] == sources[0] for row in rows)
    assert all((row["hair_color_probability"] == 1) == (sources[0] == "tags") for row in rows)
    assert all(("solo" in row["tags"]) == ("tags" in sources) for row in rows)
    assert all(deltaE_ciede2000(row["skin"], rgb2lab(np.array([220, 170, 140]) / 255)) < 2 for row in rows)

    script("tag_portraits")(**arguments, out=out)
    assert out.read_bytes() == first

    script("compare_tags")(tags=[out], settings=settings, out=tmp_path / "metrics.json")
    found = json.loads((tmp_path / "metrics.json").read_text())["hair_color"]
    assert sum(found["names"].values()) == 30 and found["unnamed"] == 0
    assert ("tags_color" in found) == (len(sources) == 2)
    if len(sources) == 2:
        assert found["tags_color"] == {"images": 30, "agreement": 1.0, "kappa": 1.0}


def test_without_masks_there_are_no_colors(script, collection, tmp_path):
    settings, out = TagsConfig(sources=["tags"], hair_colors=HAIR), tmp_path / "out.parquet"
    script("tag_portraits")(settings=settings, portraits=collection["portraits"][0], out=out)
    rows = list(read_rows([out]))
    assert all(row["hair"] is None and row["hair_color"] in HAIR for row in rows)


def test_tag_portraits_needs_no_torch():
    code = "import runpy, sys; runpy.run_path('scripts/tag_portraits.py'); print('torch' in sys.modules)"
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env={"PYTHONPATH": "."}, capture_output=True, text=True
    )
    assert done.stdout == "False\n", done.stderr
