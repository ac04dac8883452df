"""The library of a style: every candidate in several figures, described as portraits are, with creator and license."""

import itertools
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from facemill.avatars.matching import Library
from facemill.avatars.render_parts import CONTEXTS, HAIR_CONTEXTS, _figures, render_parts
from facemill.avatars.styles import DrawingStyle
from facemill.avatars.write_emoji_style import write_emoji_style
from facemill.errors import UserError


def render(folder, style="emoji"):
    folder.mkdir(exist_ok=True)
    paths = {"parts": folder / "parts.parquet", "about": folder / "about.json", "sheet": folder / "sheet.png"}
    render_parts(style=style, size=64, looks=2, seed=3, **paths)
    return paths


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    return render(tmp_path_factory.mktemp("rendered"))


def test_every_candidate_is_described_in_several_figures(rendered):
    rows = pq.read_table(rendered["parts"], columns=["role", "candidate", "context", "choice"]).to_pylist()
    assert {role: sum(row["role"] == role for row in rows) for role in ("eyes", "mouth", "face")} == {
        role: 5 * CONTEXTS for role in ("eyes", "mouth", "face")
    }
    for role, choices in DrawingStyle.load("emoji").candidates.items():
        own = [row for row in rows if row["role"] == role]
        numbers = list(itertools.product(range(5), range(CONTEXTS)))
        assert [(row["candidate"], row["context"]) for row in own] == numbers
        assert all(json.loads(row["choice"]) == choices[row["candidate"]] for row in own)


def test_contexts_differ(rendered):
    table = pq.read_table(rendered["parts"], columns=["role", "candidate", "descriptor"]).to_pylist()
    mouths = [row["descriptor"] for row in table if (row["role"], row["candidate"]) == ("mouth", 0)]
    assert len(np.unique(np.array(mouths), axis=0)) > 1  # faces around it differ


def test_the_json_names_creator_license_and_candidates(rendered):
    about = json.loads(rendered["about"].read_text())
    assert (about["style"], about["creator"], about["license"]) == ("emoji", "Facemill", "CC0 1.0")
    assert about["roles"]["mouth"] == [{"mouth": name} for name in ("smile", "laugh", "flat", "sad", "surprised")]
    assert about["unseen"] == {}
    assert set(about["weights"]) == set(about["measured"]) == {"eyes", "mouth", "face"}
    assert set(about["versions"]) == {"dicebear-core", "dicebear-styles", "resvg_py"}
    assert min(about["measured"].values()) > 0.8


def test_parts_are_nearest_to_themselves(rendered):
    library = Library.load(rendered["parts"], rendered["about"])
    table = pq.read_table(rendered["parts"], columns=["role", "candidate", "descriptor"]).to_pylist()
    for role in library.roles:
        own = [row for row in table if row["role"] == role]
        descriptors = np.array([row["descriptor"] for row in own], np.float32)
        nearest = library.nearest(role, descriptors, library.statistics)
        assert nearest.candidates[:, 0].tolist() == [row["candidate"] for row in own]


def test_the_sheet_shows_a_crop_of_each_candidate(rendered):
    sheet = np.asarray(Image.open(rendered["sheet"]).convert("L"))
    assert sheet.shape == (24 + 3 * (20 + 64), 24 * 64)
    for role in range(3):
        band = sheet[44 + role * 84 : 24 + (role + 1) * 84]
        assert [(band[:, i * 64 : (i + 1) * 64] < 200).any() for i in range(24)] == [True] * 5 + [False] * 19


def test_the_same_seed_renders_the_same(rendered, tmp_path):
    again = render(tmp_path)
    assert all(again[name].read_bytes() == path.read_bytes() for name, path in rendered.items())


def test_a_style_of_ones_own_is_rendered(tmp_path):
    write_emoji_style(style=tmp_path / "mine.json")
    about = render(tmp_path / "out", str(tmp_path / "mine.json"))["about"]
    assert json.loads(about.read_text())["style"] == str(tmp_path / "mine.json")


def test_an_unknown_style_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UserError, match="style 'nobody': unknown"):
        render(tmp_path / "out", "nobody")
    assert not list((tmp_path / "out").iterdir())


def test_figures_serve_all_roles_but_hair_and_those_of_hair_also_what_it_hides():
    figures = _figures(DrawingStyle.load("toon-head"), np.random.default_rng(0))
    together, hair = figures[: 5 * CONTEXTS], figures[5 * CONTEXTS :]
    assert all(set(figure) == {"eyes", "eyebrows", "mouth", "clothes"} for figure in together)
    assert sorted(figure["hair"] for figure in hair) == sorted([*range(120)] * HAIR_CONTEXTS)
    for role, contexts in {"eyes": CONTEXTS, "mouth": CONTEXTS, "eyebrows": 24, "clothes": 24}.items():
        assert sorted(f[role] for f in figures if role in f) == sorted([*range(5)] * contexts)
