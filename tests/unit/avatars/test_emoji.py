"""The style emoji: 5 pairs of eyes, 5 mouths, 5 faces; and its file, the example of a style of one's own."""

import itertools
import json

from facemill.avatars import emoji
from facemill.avatars.part_maps import part_map
from facemill.avatars.styles import DrawingStyle
from facemill.avatars.write_emoji_style import write_emoji_style


def test_each_of_125_faces_looks_different():
    style = DrawingStyle.load("emoji")
    combinations = itertools.product(*(style.candidates[role] for role in ("eyes", "mouth", "face")))
    maps = set()
    for eyes, mouth, face in combinations:
        options = style.options({"eyes": eyes, "mouth": mouth, "face": face})
        maps.add(part_map(style.svg(options), style, 64).tobytes())
    assert len(maps) == 125


def test_the_file_that_is_written_is_a_style(tmp_path):
    write_emoji_style(style=tmp_path / "mine.json")
    assert json.loads((tmp_path / "mine.json").read_text()) == emoji.definition()
    mine, ours = DrawingStyle.load(str(tmp_path / "mine.json")), DrawingStyle.load("emoji")
    assert mine.svg(mine.options({})) == ours.svg(ours.options({}))
