"""Films of embeddings, from a film of a drawn face to the film, its table and its figures."""

import csv
import io
import json
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from helpers.color_unet import COLORS, ColorUnet
from PIL import Image

from facemill.avatars.film_avatar import film_avatar
from facemill.avatars.film_choices import Comparer, FilmChoices, name_of
from facemill.avatars.matching import Library
from facemill.avatars.part_maps import over, picture, seven_mask
from facemill.avatars.regions import cut_parts
from facemill.avatars.styles import DrawingStyle
from facemill.data.classes import SEVEN
from facemill.data.film import FilmWriter, about, frames
from facemill.data.shards import IMAGE, write_shard
from facemill.data.synthetic import read_mark
from facemill.errors import UserError
from facemill.inference.segmenter import Segmenter

SIZE = 160
STYLE = DrawingStyle.load("toon-head")
MOUTHS = [choice["mouth"] for choice in STYLE.candidates["mouth"]]


def drawn(mouth):
    choices = {"mouth": {"mouth": mouth}, "eyes": {"eyes": "wide"}, "hair": STYLE.candidates["hair"][0]}
    return STYLE.svg(STYLE.options(choices))


def face(mouth):
    """A face in the colors of its classes: uint8 RGB (SIZE, SIZE, 3)."""
    return COLORS[seven_mask(drawn(mouth), STYLE, SIZE)]


def parts_of(mouth):
    return cut_parts(over(picture(drawn(mouth), SIZE)), seven_mask(drawn(mouth), STYLE, SIZE), looks=1)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """A library of mouths alone."""
    folder = tmp_path_factory.mktemp("avatars") / "parts"
    schema = [("role", pa.string()), ("candidate", pa.int32()), ("crop", IMAGE), ("descriptor", pa.list_(pa.float32()))]
    rows = []
    for i, mouth in enumerate(MOUTHS):
        part, png = parts_of(mouth)["mouth"], io.BytesIO()
        Image.fromarray(part.crop).save(png, "PNG")
        crop = {"bytes": png.getvalue(), "path": None}
        rows.append({"role": "mouth", "candidate": i, "crop": crop, "descriptor": part.descriptor.tolist()})
    write_shard(folder / "toon-head.parquet", rows, pa.schema(schema), None)
    facts = {"style": "toon-head", "roles": {"mouth": STYLE.candidates["mouth"]}, "weights": {"mouth": [1, 0, 1]}}
    (folder / "toon-head.json").write_text(json.dumps(facts))
    return folder


@pytest.fixture
def unet(tmp_path, monkeypatch):
    """The path of a U-Net that tells classes by their colors."""
    monkeypatch.setattr(Segmenter, "load", lambda path: Segmenter(ColorUnet().eval(), SEVEN))
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"weights")
    return path


def write_film(path, pictures, rate=12):
    with FilmWriter(path, rate=Fraction(rate)) as writer:
        for pixels in pictures:
            writer.write(pixels)


def table_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_film_is_followed_by_its_avatar(tmp_path, parts, unet):
    film, out = tmp_path / "in.mp4", tmp_path / "out.mp4"
    closed, opened, empty = face("laugh"), face("agape"), np.full((SIZE, SIZE, 3), COLORS[0], np.uint8)
    write_film(film, [closed] * 4 + [opened] * 6 + [empty] * 2)
    table, metrics = tmp_path / "out.csv", tmp_path / "out.json"
    options = {"unet": unet, "parts": parts, "style": "toon-head", "looks": 1, "hold": 3}
    film_avatar(film=film, out=out, table=table, metrics=metrics, **options)
    assert (about(out).width, about(out).height) == (1280, 720)
    assert [f.time for f in frames(out)] == [f.time for f in frames(film)]
    rows = table_of(table)
    assert [row["variant"] for row in rows] == ["laugh"] * 6 + ["agape"] * 4
    assert [row["nearest"] for row in rows] == ["laugh"] * 4 + ["agape"] * 6
    assert [row["changed"] for row in rows] == ["0"] * 6 + ["1"] + ["0"] * 3
    figures = json.loads(metrics.read_text())
    assert figures["faces"] == 10
    mouth = figures["roles"]["mouth"]
    assert mouth["changes_per_second"] == pytest.approx(12 / 9)
    assert mouth["still"]["frames"] > 0
    assert mouth["still"]["changes_per_second"] == 0
    assert read_mark(out).source_type == "algorithmicMedia"


def test_without_hold_each_frame_has_its_nearest(tmp_path, parts, unet):
    film, table = tmp_path / "in.mp4", tmp_path / "out.csv"
    write_film(film, [face(mouth) for mouth in ("laugh", "agape") * 4])
    options = {"unet": unet, "parts": parts / "toon-head.parquet", "looks": 1, "no_hold": True}
    film_avatar(film=film, out=tmp_path / "out.mp4", table=table, **options)
    assert [row["variant"] for row in table_of(table)] == ["laugh", "agape"] * 4


def test_a_folder_of_frames_is_a_film(tmp_path, parts, unet):
    folder = tmp_path / "frames"
    folder.mkdir()
    for i in range(3):
        Image.fromarray(face("laugh")).save(folder / f"frame{i}.png")
    film_avatar(film=folder, unet=unet, parts=parts, style="toon-head", out=tmp_path / "out.mp4", looks=1)
    assert sum(1 for _ in frames(tmp_path / "out.mp4")) == 3


def test_a_film_without_a_face_is_refused_and_leaves_nothing(tmp_path, parts, unet):
    film, out = tmp_path / "in.mp4", tmp_path / "out.mp4"
    write_film(film, [np.zeros((64, 64, 3), np.uint8)] * 3)
    with pytest.raises(UserError, match=r"in\.mp4: the U-Net sees no face in its 3 frames"):
        film_avatar(film=film, unet=unet, parts=parts, style="toon-head", out=out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "model.safetensors"]


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"style": None}, "--parts .*: a folder; accepted: with --style NAME"),
        ({"style": "lorelei"}, r"lorelei\.json: no such file"),
        ({"style": "toon-head", "extractor": "autoencoder"}, "extractor autoencoder: no model"),
        ({"style": "toon-head", "statistics": "none"}, "none.safetensors: no such file"),
        ({"style": "toon-head"}, r"in\.mp4: no such film"),
        ({"style": "toon-head", "looks": 0}, "--looks 0, .*; accepted: 1 or more"),
        ({"style": "toon-head", "keep": -0.1}, "--keep -0.1"),
        ({"style": "toon-head", "hold": 0}, "--hold 0"),
    ],
)
def test_faults_are_named(tmp_path, parts, unet, options, fault):
    if "statistics" in options:
        options = options | {"statistics": tmp_path / "none.safetensors"}
    with pytest.raises(UserError, match=fault):
        film_avatar(film=tmp_path / "in.mp4", unet=unet, parts=parts, out=tmp_path / "out.mp4", **options)


def test_a_unet_that_is_not_there_is_named(tmp_path, parts):
    write_film(tmp_path / "in.mp4", [face("laugh")])
    options = {"film": tmp_path / "in.mp4", "out": tmp_path / "out.mp4", "parts": parts, "style": "toon-head"}
    with pytest.raises(UserError, match="nowhere"):
        film_avatar(**options, unet=tmp_path / "nowhere")


@pytest.fixture(scope="module")
def comparer(parts):
    library = Library.load(parts / "toon-head.parquet", parts / "toon-head.json")
    return Comparer(library, library.statistics, None, parts / "toon-head.parquet")


def test_each_candidate_is_nearest_to_itself_and_apart_from_others(comparer):
    apart = comparer.apart("mouth")
    assert (apart.diagonal() == 0).all()
    assert (apart[~np.eye(len(apart), dtype=bool)] > 0).all()
    for i, mouth in enumerate(MOUTHS):
        choices = FilmChoices(comparer, keep=0.05, hold=5).next(parts_of(mouth))
        assert (choices["mouth"].candidate, choices["mouth"].nearest) == (i, i)
        assert choices["mouth"].margin == pytest.approx(1, abs=0.01)


def test_the_axes_show_most_candidates_within_the_plot(comparer):
    axes, domain = comparer.axes["mouth"], comparer.domains["mouth"]
    assert axes.candidates.shape == (len(MOUTHS), 5)
    assert np.quantile(np.abs(axes.candidates).max(1), 0.9) == pytest.approx(0.7, abs=1e-3)
    for i, mouth in enumerate(MOUTHS):
        shown = axes.show(comparer.vector("mouth", parts_of(mouth)["mouth"]), domain)
        assert shown == pytest.approx(axes.candidates[i], abs=1e-3)


def test_hidden_components_are_not_named():
    assert name_of({"hair": "bun", "rearHair": "none", "beard": "chin"}) == "bun + chin"
    assert name_of({"beard": "none"}) == "none"
