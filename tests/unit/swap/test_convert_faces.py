"""Faces exchanged in films and photos: what stays, what is refused, and what a killed conversion leaves."""

import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from helpers.films import picture, sound_packets, times, write_film
from helpers.swapped import SIZE, draw_face, points_at, write_faces
from PIL import Image

import facemill.swap.convert_faces as module
from facemill.data.film import about, frames
from facemill.data.shards import read_rows
from facemill.data.synthetic import read_mark
from facemill.errors import UserError
from facemill.swap.convert_faces import convert_faces

COUNT = 24
PLACES = {number: points_at(44 + number, 34, 40, number) for number in range(COUNT) if number not in (0, 7, 8)}
VARIABLE = [0, 1, 5, 6, 7, 20, 21, 22, 40, 41, 55, 56, 57, 58, 60, 61, 70, 71, 72, 73, 80, 81, 90, 99]


pytestmark = pytest.mark.usefixtures("in_a_folder")


def pictures(width=128, height=96, places=PLACES):
    shown = [picture(number, width, height) for number in range(COUNT)]
    return [draw_face(pixels, places[i]) if i in places else pixels for i, pixels in enumerate(shown)]


def film_of(path=Path("in.mp4"), **options):
    """A film with sound and a face in most frames, and the table of its faces."""
    film = write_film(path, pictures(), **({"sound": "aac"} | options))
    return film, write_faces(Path("faces.parquet"), frames(film), PLACES)


@pytest.mark.parametrize("steps", [None, VARIABLE], ids=["constant", "variable"])
def test_times_and_sound_stay_and_frames_without_a_face(model, steps):
    film, table = film_of(times=steps, base=Fraction(1, 30))
    out, notes = Path("new/out.mp4"), Path("table.parquet")
    convert_faces(model=model, input=film, direction="a2b", out=out, faces=table, no_mark=True, table=notes)
    assert times(out) == times(film) and len(times(out)) == COUNT
    assert sound_packets(out) == sound_packets(film) != []
    assert steps or about(out).rate == about(film).rate
    changes = [np.abs(a.pixels.astype(int) - b.pixels).max() for a, b in zip(frames(film), frames(out), strict=True)]
    assert all((change > 60) == (number in PLACES) for number, change in enumerate(changes))
    rows = list(read_rows([notes]))
    assert [row["frame"] for row in rows if row["reason"] == "no face"] == [0, 7, 8]
    assert [row["time"] for row in rows] == [frame.time for frame in frames(film)]
    assert rows[1]["faces"] == 1 and rows[1]["scale"] == pytest.approx(40 / SIZE) and rows[0]["scale"] is None


def test_the_mark_is_in_the_metadata_and_in_the_corner(model):
    film, table = film_of()
    outs = [Path("marked.mp4"), Path("plain.mp4")]
    for out, no_mark in zip(outs, (False, True), strict=True):
        convert_faces(model=model, input=film, direction="a2b", out=out, faces=table, no_mark=no_mark)
        mark = read_mark(out)
        assert mark.source_type == "compositeWithTrainedAlgorithmicMedia"
        assert list(mark.models) == ["model.safetensors"] and list(mark.ingredients) == ["in.mp4"]
        assert out.with_name(f"{out.name}.json").exists()
    marked, plain = (next(frames(out)).pixels.astype(int) for out in outs)
    assert np.abs(marked - plain)[-9:, :30].max() > 100
    assert np.abs(marked - plain)[:-24].max() < 24


def test_a_part_of_a_film_is_cut_with_its_sound(model):
    film, table = film_of()
    convert_faces(model=model, input=film, direction="a2b", out=Path("o.mp4"), faces=table, start=0.2, end=0.6)
    first = Fraction(5, 25)
    assert times(Path("o.mp4")) == [when - first for when in times(film) if first <= when < Fraction(3, 5)]
    expected = [content for content, when in sound_packets(film) if first <= when < Fraction(3, 5)]
    assert [content for content, _ in sound_packets(Path("o.mp4"))] == expected
    assert Path("work").exists() and not list(Path("work").iterdir())


@pytest.mark.parametrize(("width", "height"), [(127, 95), (126, 97)])
def test_odd_sizes(model, width, height):
    folder = Path("in")
    folder.mkdir()
    for number, pixels in enumerate(pictures(width, height)[:3]):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    film = write_film(Path("in.mkv"), pictures(width, height)[:3], codec="ffv1", pixels="bgr0")
    table = write_faces(Path("faces.parquet"), frames(film), PLACES)
    convert_faces(model=model, input=film, direction="a2b", out=Path("out.mp4"), faces=table)
    assert next(frames(Path("out.mp4"))).pixels.shape == (height + height % 2, width + width % 2, 3)


def test_a_film_held_upright_comes_out_upright(model):
    places = {number: points_at(44, 60 + number, 40) for number in range(COUNT)}
    shown = [np.rot90(pixels, -1) for pixels in pictures(96, 128, places)]
    film = write_film(Path("in.mp4"), [np.ascontiguousarray(pixels) for pixels in shown], turn=(90, False, False))
    assert (about(film).width, about(film).height) == (96, 128)
    table = write_faces(Path("faces.parquet"), frames(film), places)
    convert_faces(model=model, input=film, direction="a2b", out=Path("out.mp4"), faces=table, no_mark=True)
    assert (about(Path("out.mp4")).width, about(Path("out.mp4")).height) == (96, 128)
    for before, after in zip(frames(film), frames(Path("out.mp4")), strict=True):
        changed = np.abs(before.pixels.astype(int) - after.pixels).max(-1) > 60
        rows, columns = np.nonzero(changed)
        x, y = places[before.number].mean(0)
        assert abs(columns.mean() - x) < 8 and abs(rows.mean() - y) < 8


def test_a_black_frame_with_a_face_and_two_faces_in_a_frame(model):
    shown = pictures()[1:4]
    shown[0] = np.zeros_like(shown[0])
    film = write_film(Path("in.mp4"), shown)
    places = {number: PLACES[number + 1] for number in range(3)}
    table = write_faces(Path("faces.parquet"), frames(film), places, second=points_at(100, 60, 30))
    notes = Path("table.parquet")
    convert_faces(model=model, input=film, direction="a2b", out=Path("out.mp4"), faces=table, no_mark=True, table=notes)
    assert [row["faces"] for row in read_rows([notes])] == [2, 2, 2]
    assert next(frames(Path("out.mp4"))).pixels.max() < 90


KILLED = """
import logging, sys, time
from pathlib import Path
from facemill.swap import film_pieces
from facemill.swap.conversion import FilmConversion
from facemill.swap.convert_faces import convert_faces
logging.basicConfig(level="INFO")
film_pieces.PIECE = 10
inner = FilmConversion._compose
def slow(self, batch):
    if Path("work").exists() and len(list(Path("work").glob("*/*.json"))) == 1:
        Path("begun").touch()
        time.sleep(60)
    return inner(self, batch)
if sys.argv[1] == "slow":
    FilmConversion._compose = slow
model, film, table = map(Path, sys.argv[2:])
convert_faces(model=model, input=film, direction="a2b", out=Path("out.mp4"), faces=table, table=Path("t.parquet"))
"""


def test_a_killed_conversion_resumes_to_the_same_bytes(model, tmp_path):
    film, table = (path.resolve() for path in film_of())
    environment = os.environ | {"PYTHONPATH": str(Path(module.__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    killed, other = tmp_path / "killed", tmp_path / "other"

    def start(folder, speed):
        """Starts a conversion in a folder."""
        folder.mkdir(exist_ok=True)
        command = [sys.executable, "-c", KILLED, speed, model, film, table]
        return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)

    process, deadline = start(killed, "slow"), time.monotonic() + 300
    while not (killed / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    [piece] = killed.glob("work/*/000000.mp4")
    assert read_mark(piece).ingredients.keys() == {"in.mp4"} and not (killed / "out.mp4").exists()
    resumed, uninterrupted = (start(folder, "fast") for folder in (killed, other))
    assert "resumes after 10 frames" in resumed.communicate()[1]
    assert "resumes after" not in uninterrupted.communicate()[1]
    for name in ("out.mp4", "out.mp4.json", "t.parquet"):
        assert (killed / name).read_bytes() == (other / name).read_bytes()
    assert not list(killed.glob("work/*"))


def test_pieces_of_other_settings_or_code_are_not_used(model, monkeypatch):
    film, table = film_of()
    folders = []
    monkeypatch.setattr("facemill.swap.converted_film.shutil.rmtree", lambda folder: folders.append(folder))
    for options in ({}, {"feather": 0.1}, {"color": "mean"}, {"no_mark": True}, {"start": 0.1}, {}):
        if options == {} and folders:
            monkeypatch.setenv("FACEMILL_CODE", "1234567890")
        convert_faces(model=model, input=film, direction="a2b", out=Path("out.mp4"), faces=table, **options)
    assert len(set(folders)) == len(folders) == 6


class TestFaults:
    """One line for each mistake."""

    @pytest.fixture
    def given(self, model):
        film, table = film_of()
        return {"model": model, "input": film, "direction": "a2b", "out": Path("out.mp4"), "faces": table}

    @pytest.mark.parametrize(
        ("changes", "fault"),
        [
            ({"out": Path("in.mp4")}, "--out in.mp4: in.mp4 would be replaced, which is read; accepted: another name"),
            ({"out": Path("out.avi")}, "--out out.avi: --input in.mp4 is a film; accepted: a .mp4"),
            ({"input": Path("none.mp4")}, "--input none.mp4: no such file or folder"),
            ({"model": Path("none")}, "none.json: no such model file"),
            ({"direction": "b2b"}, "--direction b2b: accepted: a2b, b2a"),
            ({"direction": "b2a"}, "--faces faces.parquet: holds a-000001-0; accepted: faces of b, which are replaced"),
            ({"feather": 0.4}, "--feather 0.4: accepted: 0 to 0.25"),
            (
                {"start": 0.5, "end": 0.5},
                "--start 0.5, --end 0.5: accepted: seconds from 0 on, the end after the start",
            ),
            ({"start": -1.0}, "--start -1, --end None: accepted"),
            ({"start": float("nan")}, "--start nan, --end None: accepted"),
            ({"start": float("inf")}, "--start inf, --end None: accepted"),
            ({"end": float("inf")}, "--start 0, --end inf: accepted"),
            ({"end": float("nan")}, "--start 0, --end nan: accepted"),
            ({"out": Path("in.mp4/out.mp4")}, "--out in.mp4: a file; accepted: a folder"),
            ({"table": Path("in.mp4/t/t.parquet")}, "--table in.mp4/t: in.mp4 is a file; accepted: a folder"),
            ({"table": Path("in.mp4")}, "--table in.mp4: in.mp4 would be replaced, which is read"),
            ({"table": Path("faces.parquet")}, "--table faces.parquet: faces.parquet would be replaced"),
            ({"table": Path()}, "--table .: a folder; accepted: a file's name"),
            ({"faces": Path("frames.parquet")}, "frames.parquet: has no column box; accepted: a table that extract"),
            ({"start": 5.0}, "in.mp4: no usable face between --start 5"),
            ({"start": 0.28, "end": 0.33}, "in.mp4: no usable face between --start 0.28 and --end 0.33"),
            ({"faces": Path("none.parquet")}, "--faces none.parquet: no such file"),
            ({"faces": None}, "--unet: missing; accepted: the U-Net that finds the faces, or their table with --faces"),
            ({"faces": None, "unet": Path("none")}, "--unet none: no such file"),
        ],
    )
    def test_mistakes_in_one_line(self, given, changes, fault, monkeypatch):
        if changes.keys() & {"out", "table"}:
            monkeypatch.setattr(module.Swap, "load", lambda *_, **options: pytest.fail("work was begun"))
        with pytest.raises(UserError) as error:
            convert_faces(**given | changes)
        assert str(error.value).startswith(fault) and "\n" not in str(error.value)
        assert not Path("out.mp4").exists() and not Path("work").exists()

    def test_a_model_of_another_kind(self, given, tmp_path):
        json = (given["model"] / "model.json").read_text().replace("FaceSwap", "Unet")
        other = tmp_path / "model.safetensors"
        other.write_bytes((given["model"] / "model.safetensors").read_bytes())
        other.with_suffix(".json").write_text(json)
        with pytest.raises(UserError, match="holds a Unet; accepted: a FaceSwap"):
            convert_faces(**given | {"model": other})

    def test_a_film_without_a_face(self, given):
        table = write_faces(Path("none/faces.parquet"), frames(given["input"]), PLACES, rejected="small")
        with pytest.raises(UserError, match="in.mp4: no usable face; accepted: pictures of the face that is replaced"):
            convert_faces(**given | {"faces": table})

    @pytest.mark.parametrize(
        ("options", "fault"),
        [
            ({"times": VARIABLE}, "faces.parquet: has frame 2 at 0.080 s, which is at 0.200 s"),
            ({"pictures": [255 - pixels for pixels in pictures()]}, "faces.parquet: has another picture of frame 1"),
            ({"pictures": pictures()[:12]}, "faces.parquet: has a face in frame 12, after the film's last one"),
        ],
    )
    def test_the_table_of_another_film(self, given, options, fault):
        shown = options.pop("pictures", pictures())
        other = write_film(Path("other.mp4"), shown, **options)
        with pytest.raises(UserError, match=fault):
            convert_faces(**given | {"input": other})
        assert not Path("out.mp4").exists() and not list(Path().glob("work/*/*.part*"))

    def test_a_refused_conversion_leaves_no_empty_folder(self, given):
        other = write_film(Path("other.mp4"), [255 - pixels for pixels in pictures()])
        with pytest.raises(UserError, match="has another picture of frame 1"):
            convert_faces(**given | {"input": other})
        assert not Path("work").exists()

    def test_every_face_is_compared_with_the_film(self, given):
        shown = pictures()
        shown[20] = 255 - shown[20]
        with pytest.raises(UserError, match="has another picture of frame 20"):
            convert_faces(**given | {"input": write_film(Path("other.mp4"), shown)})

    def test_a_folder_takes_no_film_and_no_span(self, given):
        folder = Path("in")
        folder.mkdir()
        Image.fromarray(picture(0)).save(folder / "0.png")
        with pytest.raises(UserError, match="--out out.mp4: --input in is a folder; accepted: a folder"):
            convert_faces(**given | {"input": folder})
        with pytest.raises(UserError, match="--start, --end: of films"):
            convert_faces(**given | {"input": folder, "start": 1.0})
        with pytest.raises(UserError, match="--out in/new: lies in --input in"):
            convert_faces(**given | {"input": folder, "out": folder / "new"})
        with pytest.raises(UserError, match="--out out: --input in/0.png is a photo; accepted: a .png"):
            convert_faces(**given | {"input": folder / "0.png", "out": Path("out")})


def test_faces_are_found_once_for_a_film_without_a_table(model, monkeypatch, tmp_path):
    film, table = film_of()
    unet, calls = tmp_path / "unet.safetensors", []
    unet.write_bytes(b"weights")

    def find(source, finder, *, side, size):
        """What the table has."""
        calls.append((source, side, size))
        return list(read_rows([table])), list(read_rows([table.with_name("frames.parquet")]))

    monkeypatch.setattr(module, "find_faces", find)
    monkeypatch.setattr(module.FaceFinder, "load", lambda *arguments: calls.append(arguments))
    options = {"model": model, "input": film, "direction": "a2b", "unet": unet}
    convert_faces(**options, out=Path("found.mp4"))
    convert_faces(**options, out=Path("again.mp4"), color="mean")
    convert_faces(model=model, input=film, direction="a2b", out=Path("given.mp4"), faces=table)
    assert [call for call in calls if call[0] == film] == [(film, "a", SIZE)]
    assert Path("found.mp4").read_bytes() == Path("given.mp4").read_bytes() != Path("again.mp4").read_bytes()
