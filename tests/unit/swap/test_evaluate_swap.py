"""Evaluation of exchanged faces, on small drawn films."""

import json
import shutil
from fractions import Fraction

import cv2
import numpy as np
import pyarrow as pa
import pytest
from helpers.films import tone, write_film
from helpers.heads import head
from helpers.scenes import ColorUnet, save_varied_unet
from helpers.swap_faces import SETTINGS
from helpers.swapped import SIZE, draw_face, face_at, network, points_at, save_network
from PIL import Image

from facemill.data.classes import SEVEN
from facemill.data.film import FilmWriter, frames
from facemill.data.shards import IMAGE, encode_mask, write_shard
from facemill.data.synthetic import draw_mark, hashes, read_mark
from facemill.errors import UserError
from facemill.imaging.figures import colorize
from facemill.inference.segmenter import Segmenter
from facemill.swap.alignment import similarity
from facemill.swap.conversion import FilmConversion
from facemill.swap.converter import Converter
from facemill.swap.evaluate_swap import evaluate_swap
from facemill.swap.faces import FACES_SCHEMA, FRAMES_SCHEMA, read_faces, row_of
from facemill.swap.film_truth import found_truth, written_figures
from facemill.swap.frame_faces import shots
from facemill.swap.held_out import Expressions, exchange_held_out

COUNT, HELD_OUT = 10, 6  # frames of a film, and from which on they are held out
NOBODY = 2  # a frame
[FACE], [EYE], [MOUTH] = map(SEVEN.role_ids, ("face", "eye", "mouth"))


def points(number, side="a"):
    return points_at(48 + number, 40 + (side == "b"), 50, 2 * number)


def picture(number, side="a"):
    """A frame, uint8 RGB (80, 112, 3), with a face but for one."""
    y, x = np.mgrid[:80, :112]
    ground = np.stack([x + 60, y + 90, 0 * x + {"a": 90, "b": 160}[side]], -1).astype(np.uint8)
    return ground if number == NOBODY else draw_face(ground, points(number, side))


def write_tables(folder, film, side, count=COUNT):
    """The tables of a film's faces and frames."""
    faces, rows = [], []
    for frame in frames(film):
        if frame.number != NOBODY:
            held_out = frame.number >= HELD_OUT
            place = points(frame.number, side)
            face = face_at(frame.pixels, place, frame.number, frame.pts, frame.time, side, held_out=held_out)
            faces.append(row_of(face))
        reason = "no face" if frame.number == NOBODY else None
        rows.append({"frame": frame.number, "pts": frame.pts, "time": frame.time, "faces": 1, "reason": reason})
        rows[-1]["faces"] = int(reason is None)
    rejected = faces[0] | {"id": "x", "face": 1, "rejected": "blurred"}
    write_shard(folder / "faces.parquet", [faces[0], rejected, *faces[1:]], FACES_SCHEMA, SEVEN)
    write_shard(folder / "frames.parquet", rows, FRAMES_SCHEMA)


def write_swapped(source, out):
    with FilmWriter(out, like=source) as film:
        for frame in frames(source):
            film.write(draw_mark(frame.pixels), frame)


def write_truth(path):
    """As `film_sample` does: the other film's picture, and the mask of this one."""
    schema = pa.schema(
        [("film", pa.string()), ("frame", pa.int32()), ("image", IMAGE), ("mask", IMAGE), ("figures", pa.int32())]
    )
    rows = []
    for side, other in (("a", "b"), ("b", "a")):
        for number in range(COUNT):
            mask = np.zeros((80, 112), np.uint8)
            if number != NOBODY:
                head, left, right, mouth = picture(number, side), *np.rint(points(number, side)).astype(int)
                mask[(head != picture(NOBODY, side)).any(-1)] = FACE
                for (x, y), label in ((left, EYE), (right, EYE), (mouth, MOUTH)):
                    mask[y - 3 : y + 4, x - 3 : x + 4] = label
            image = draw_face(picture(NOBODY, other), points(number, side))
            encoded = path.with_name("image.png")
            Image.fromarray(image).save(encoded)
            rows.append(
                {
                    "film": side,
                    "frame": number,
                    "image": {"bytes": encoded.read_bytes()},
                    "mask": {"bytes": encode_mask(mask, SEVEN)},
                    "figures": int(number != NOBODY),
                }
            )
    write_shard(path, rows, schema, SEVEN)
    return path


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """Two films with their tables, a network, what was written, and a U-Net."""
    folder = tmp_path_factory.mktemp("swap")
    save_network(folder)
    save_varied_unet(folder / "unet.safetensors")
    write_truth(folder / "truth.parquet")
    for side, direction in (("a", "a2b"), ("b", "b2a")):
        (folder / side).mkdir()
        film = folder / f"{side}.mp4"
        write_film(film, [picture(number, side) for number in range(COUNT)], sound="aac" if side == "a" else None)
        write_tables(folder / side, film, side)
        (folder / direction).mkdir()
        write_swapped(film, folder / direction / f"{direction}.mp4")
    return folder


def arguments(folder, out):
    return {
        "model": folder / "model.safetensors",
        **{side: folder / side / "faces.parquet" for side in "ab"},
        **{f"film_{side}": folder / f"{side}.mp4" for side in "ab"},
        "swapped": [folder / "a2b", folder / "b2a"],
        "unet": folder / "unet.safetensors",
        "settings": SETTINGS,
        "seed": 0,
        "metrics": out / "metrics.json",
        "picture": out / "swap.png",
    }


def test_the_figures_of_both_directions_and_sides(stage, tmp_path):
    evaluate_swap(**arguments(stage, tmp_path), truth=stage / "truth.parquet")
    figures = json.loads((tmp_path / "metrics.json").read_text())
    assert figures.keys() == {"a2b", "b2a", "a", "b"}
    for direction in ("a2b", "b2a"):
        of_direction = figures[direction]
        assert of_direction["faces"] == COUNT - HELD_OUT
        assert of_direction["truth"]["ratio"] > 0 and of_direction["seam"]["ratio"] > 0
        assert of_direction["color"]["mean"] >= 0
        assert of_direction["flicker"]["still"] > 0
        assert of_direction["expression"].keys() == of_direction["expression_film"].keys() == {"mouth", "eyes"}
        face, crop = of_direction["identity"]["face"], of_direction["identity"]["crop"]
        assert face.keys() - crop.keys() == {"swapped"}
        assert crop.keys() == {"drawn", "reconstructed", "real_a", "real_b"}
        assert all(0 <= value["mean"] <= 1 for value in (*face.values(), *crop.values()))
    for name, value in figures["a2b"]["identity"]["crop"].items():
        if name.startswith("real"):
            assert value["mean"] + figures["b2a"]["identity"]["crop"][name]["mean"] == pytest.approx(1)
    assert figures["a2b"]["written"] == {"count": COUNT, "frames": True, "times": True, "sound": True}
    assert figures["b2a"]["written"]["sound"] is None
    for side in "ab":
        assert figures[side]["reconstruction"]["mean"] > 0 and figures[side]["jitter"] < 4
        assert figures[side]["faces"] == {
            "frames": COUNT,
            "with_face": 1 - 1 / COUNT,
            "without": {"no face": 1},
            "rejected": {"blurred": 1},
            "found": 1,
            "false": 0,
        }
    mark = read_mark(tmp_path / "swap.png")
    assert mark.source_type == "compositeWithTrainedAlgorithmicMedia"
    assert mark.models == hashes([stage / "model.safetensors"]) and mark.ingredients.keys() == {"a.mp4", "b.mp4"}
    with Image.open(tmp_path / "swap.png") as sheet:
        assert sheet.width > 5 * 192 and sheet.height > 8 * 192


def test_the_same_inputs_give_the_same_bytes_and_need_no_truth(stage, tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        evaluate_swap(**arguments(stage, tmp_path / name))
    for name in ("metrics.json", "swap.png"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    figures = json.loads((tmp_path / "first/metrics.json").read_text())
    assert "truth" not in figures["a2b"] and "found" not in figures["a"]["faces"]
    with Image.open(tmp_path / "first/swap.png") as sheet:
        assert 4 * 192 < sheet.width < 5 * 192


def test_a_side_needs_faces_that_are_held_out_and_others(stage, tmp_path):
    for held_out in (True, False):
        rows = [row_of(face) | {"held_out": held_out} for face in read_faces(stage / "b/faces.parquet")]
        write_shard(tmp_path / "faces.parquet", rows, FACES_SCHEMA, SEVEN)
        with pytest.raises(UserError, match=rf"faces.parquet: {9 * held_out} of 9 usable faces are held out; accepted"):
            evaluate_swap(**arguments(stage, tmp_path) | {"b": tmp_path / "faces.parquet"})
    assert not (tmp_path / "metrics.json").exists()


def test_held_out_faces_are_those_of_a_conversion_of_the_whole_film(stage):
    table = stage / "a/faces.parquet"
    exchanged = exchange_held_out(network(), stage / "a.mp4", table, "a", SETTINGS, Opening(), range(COUNT))
    converter = Converter(network(), "b", color=SETTINGS.color, blend=SETTINGS.blend, feather=SETTINGS.feather)
    film = FilmConversion(converter, {}, marks=False)
    converted = film.convert(shots(frames(stage / "a.mp4"), table, stage / "a.mp4", to_end=True))
    whole = {frame.number: pixels for frame, pixels in converted}
    assert len(exchanged.shown) == COUNT - HELD_OUT
    for shown in exchanged.shown:
        assert (shown.after == whole[shown.number]).all()


class Opening:
    """Stands in for the evaluator: the mouth is as open as the face is to the right."""

    def compare(self, before, after, matrix):
        assert before.shape == after.shape and (before != after).any()
        return {"before": {"mouth": -matrix[0, 2]}}


def test_only_held_out_faces_are_exchanged_and_each_is_looked_at(stage):
    looks = Opening()
    exchanged = exchange_held_out(
        network(),
        stage / "a.mp4",
        stage / "a/faces.parquet",
        "a",
        SETTINGS,
        looks,
        [0, COUNT - HELD_OUT - 1],
        {"a-000001-0", f"a-{HELD_OUT:06}-0"},
    )
    first, second = exchanged.film_openness
    assert second == exchanged.openness[0] != first
    assert [face.frame for face in exchanged.faces] == list(range(HELD_OUT, COUNT))
    assert [shown.number for shown in exchanged.shown] == [HELD_OUT, COUNT - 1]
    mouths = [openness["before"]["mouth"] for openness in exchanged.openness]
    assert mouths == sorted(mouths)
    for crops in (exchanged.real, exchanged.drawn, exchanged.reconstructed, exchanged.swapped):
        assert len(crops) == COUNT - HELD_OUT and crops[0].shape == (SIZE, SIZE, 3) and crops[0].dtype == np.uint8
    assert not (exchanged.drawn[0] == exchanged.reconstructed[0]).all()
    for shown in exchanged.shown:
        face = (picture(shown.number) != picture(NOBODY)).any(-1).astype(np.uint8)
        changed = (shown.before != shown.after).any(-1)
        assert changed.any() and not changed[cv2.dilate(face, np.ones((7, 7), np.uint8)) == 0].any()
        assert shown.face.shape == (2 * SIZE, 2 * SIZE, 3)


def drawn_head(turn, mouth):
    """A frame in the classes' colors, with a head that is turned, and the matrix of its face."""
    mask = head(face=(30, 24, 68, 84), apart=30, eye=(12, 8), mouth=(20, mouth), mouth_y=60, hair=6)
    move = cv2.getRotationMatrix2D((64, 64), -turn, 1)
    pixels = cv2.warpAffine(colorize(mask, SEVEN), move, (128, 128), flags=cv2.INTER_NEAREST, borderValue=(40, 34, 53))
    places = np.array([(49, 48, 1), (79, 48, 1), (64, 84, 1)]) @ move.T
    return pixels, similarity(places)


@pytest.mark.parametrize("turn", [0, 25])
def test_the_evaluator_sees_how_open_a_turned_mouth_is(turn):
    expressions = Expressions(Segmenter(ColorUnet(128).eval(), SEVEN), 0)
    (closed, matrix), (opened, _) = drawn_head(turn, 4), drawn_head(turn, 16)
    seen = expressions.compare(closed, opened, matrix)
    assert seen["before"]["mouth"] == pytest.approx(0.2, abs=0.06)
    assert seen["after"]["mouth"] == pytest.approx(0.8, abs=0.1)
    assert seen["after"]["eyes"] == seen["before"]["eyes"] and seen["again"] != seen["before"]
    assert seen["again"]["mouth"] == pytest.approx(seen["before"]["mouth"], abs=0.06)


def test_a_part_that_is_in_no_look_has_no_openness(stage):
    pixels = np.full((80, 112, 3), (40, 34, 53), np.uint8)  # background
    expressions = Expressions(Segmenter(ColorUnet(128).eval(), SEVEN), 0)
    assert expressions.compare(pixels, pixels, np.eye(2, 3) / 40)["after"] == {"eyes": None, "mouth": None}


def test_other_times_frames_and_sound_are_noticed(stage, tmp_path):
    film, other = stage / "a.mp4", tmp_path / "other.mp4"
    pictures = [picture(number) for number in range(COUNT)]
    write_film(other, pictures, times=[0, *range(2, COUNT + 1)], sound="aac")
    written = written_figures(film, other)
    assert written["frames"] and not written["times"]
    write_film(other, pictures[:-1], sound="aac")
    assert not written_figures(film, other)["frames"]
    with FilmWriter(other, rate=Fraction(25), sound=tone(0.4) / 2) as writer:
        for pixels in pictures:
            writer.write(pixels)
    assert written_figures(film, other)["sound"] is False
    write_film(other, pictures)
    assert written_figures(film, other)["sound"] is False


def test_a_folder_of_pictures_is_compared_by_its_number(stage, tmp_path):
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
        for number in range(3):
            Image.fromarray(picture(number)).save(tmp_path / name / f"{number}.png")
    assert written_figures(tmp_path / "in", tmp_path / "out") == {
        "count": 3,
        "frames": True,
        "times": True,
        "sound": None,
    }
    (tmp_path / "out/2.png").unlink()
    assert not written_figures(tmp_path / "in", tmp_path / "out")["frames"]


def test_faces_elsewhere_are_false(stage):
    faces = read_faces(stage / "a/faces.parquet")
    pixels = picture(NOBODY)
    wrong = [face_at(pixels, points(0), NOBODY), face_at(pixels, points_at(100, 70, 20), 3)]
    assert found_truth(stage / "truth.parquet", "a", [*faces[2:], *wrong]) == {"found": 7 / 9, "false": 2}


def test_a_table_of_another_film_is_refused(stage, tmp_path):
    shutil.copy(stage / "b.mp4", tmp_path / "a.mp4")
    with pytest.raises(UserError, match=r"faces.parquet"):
        evaluate_swap(**arguments(stage, tmp_path) | {"film_a": tmp_path / "a.mp4"})
