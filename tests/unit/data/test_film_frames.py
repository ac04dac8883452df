"""Frames of films and folders: their times, the way up, and colors."""

import logging
import os
import shutil
import subprocess
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from helpers.films import HEIGHT, PICTURES, WIDTH, number_of, picture, write_film
from PIL import Image

from facemill.data.film import About, about, frames
from facemill.data.film_frames import natural_key

HEVC = {"codec": "libx265", "options": {"crf": "6", "x265-params": "log-level=none:pools=1"}}
SHARP = {"crf": "4", "bf": "2"}


def numbers(path: Path) -> list[int]:
    return [number_of(frame.pixels) for frame in frames(path)]


def test_frames_have_numbers_times_and_pixels(tmp_path):
    film = write_film(tmp_path / "a.mp4", PICTURES, sound="aac", options=SHARP)
    read = list(frames(film))
    assert [frame.number for frame in read] == list(range(12))
    assert [frame.pts * frame.time_base for frame in read] == [Fraction(number, 25) for number in range(12)]
    assert read[3].time == 0.12
    for frame, expected in zip(read, PICTURES, strict=True):
        assert frame.pixels.dtype == np.uint8
        assert np.abs(frame.pixels.astype(int) - expected).mean() < 3
    assert about(film) == About(WIDTH, HEIGHT, Fraction(25), 0.48, sound=True)


def test_no_sound(tmp_path):
    assert not about(write_film(tmp_path / "a.mp4", PICTURES)).sound


def test_variable_rate_and_a_late_start(tmp_path):
    times = [7, 8, 12, 13, 40, 41, 42, 43, 60, 61, 90, 91]
    container = {"movie_timescale": "90"}  # a delay is stated in this unit, by default in thousandths
    film = write_film(tmp_path / "a.mp4", PICTURES, times=times, base=Fraction(1, 90), container=container)
    assert [frame.pts * frame.time_base * 90 for frame in frames(film)] == times


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mkv", {}),
        ("a.webm", {"codec": "libvpx-vp9"}),
        ("a.mov", HEVC),
        ("a.avi", {"codec": "mpeg4", "options": {"b": "4000000"}}),
        ("mp4 under another name.txt", {"muxer": "mp4"}),
    ],
)
def test_films_are_read_by_their_content(tmp_path, name, options):
    film = write_film(tmp_path / name, PICTURES, **options)
    assert numbers(film) == list(range(12))
    assert [round(frame.time * 25) for frame in frames(film)] == list(range(12))


def test_the_clock_of_an_mpeg_stream_counts_from_its_start(tmp_path):
    film = write_film(tmp_path / "a.ts", PICTURES, container={"output_ts_offset": "5000"})
    times = [frame.time for frame in frames(film)]
    assert times[0] < 1
    assert np.allclose(np.diff(times), 1 / 25)


def test_a_stream_without_times_has_its_rate(tmp_path):
    film = write_film(tmp_path / "a.h264", PICTURES)
    assert [frame.time for frame in frames(film)] == [number / 25 for number in range(12)]


def test_times_that_do_not_grow_are_mended(tmp_path, caplog):
    film = write_film(tmp_path / "a.mkv", PICTURES[:5], times=[0, 1, 1, 2, 3], codec="ffv1")
    assert [frame.pts for frame in frames(film)] == [0, 40, 41, 80, 120]
    assert "the times of 1 frames" in caplog.text


TURNS = {
    "left": ((90, False, False), lambda pixels: np.rot90(pixels)),
    "right": ((-90, False, False), lambda pixels: np.rot90(pixels, -1)),
    "upside down": ((180, False, False), lambda pixels: pixels[::-1, ::-1]),
    "mirrored": ((0, True, False), lambda pixels: pixels[:, ::-1]),
    "flipped": ((0, False, True), lambda pixels: pixels[::-1]),
}


@pytest.mark.parametrize("name", TURNS)
def test_rotated_films_are_turned_upright(tmp_path, name):
    turn, upright = TURNS[name]
    film = write_film(tmp_path / "a.mp4", PICTURES[:2], turn=turn, options=SHARP)
    expected = upright(PICTURES[0])
    first = next(frames(film)).pixels
    assert first.shape == expected.shape and first.flags.c_contiguous
    assert np.abs(first.astype(int) - expected).mean() < 3
    assert (about(film).height, about(film).width) == expected.shape[:2]


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="no ffmpeg")
@pytest.mark.parametrize("turn", [(90, True, False), (-90, False, True), *(turn for turn, _ in TURNS.values())])
def test_ffmpeg_turns_films_alike(tmp_path, turn):
    film = write_film(tmp_path / "a.mp4", PICTURES[:1], turn=turn, options=SHARP)
    command = ["ffmpeg", "-v", "error", "-i", str(film), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    pixels = next(frames(film)).pixels
    shown = np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, np.uint8)
    assert np.abs(shown.reshape(pixels.shape).astype(int) - pixels).mean() < 2


def test_odd_sides(tmp_path):
    film = write_film(tmp_path / "a.mkv", [picture(0, 33, 31)], codec="ffv1", pixels="bgr0")
    assert (next(frames(film)).pixels == picture(0, 33, 31)).all()


def test_pixels_that_are_not_square_are_stretched(tmp_path):
    assert about(write_film(tmp_path / "a.mp4", PICTURES, ratio=Fraction(4, 3))).width == WIDTH * 4 / 3


@pytest.mark.parametrize(
    ("matrix", "width", "height", "expected"),
    [
        (1, 128, 64, "ITU709"),
        (5, 128, 64, "ITU601"),
        (2, 1278, 576, "ITU601"),
        (2, 1280, 64, "ITU709"),
        (2, 128, 578, "ITU709"),
    ],
)
def test_colors_of_every_matrix(tmp_path, matrix, width, height, expected):
    """1 is BT.709, 5 BT.601, 2 unknown: as players have it, BT.709 for large films alone."""
    pixels = np.full((height, width, 3), (200, 60, 90), np.uint8)
    frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format="yuv444p", dst_colorspace=expected)
    with av.open(str(tmp_path / "a.mkv"), "w") as film:
        stream = film.add_stream("ffv1", 25, width=width, height=height, pix_fmt="yuv444p")
        stream.codec_context.colorspace = matrix
        frame.colorspace = matrix
        film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
    assert np.abs(next(frames(tmp_path / "a.mkv")).pixels.astype(int) - (200, 60, 90)).max() <= 3


def test_transparency_is_over_white(tmp_path):
    pixels = np.zeros((32, 32, 4), np.uint8)
    pixels[:, 8:, 3], pixels[:, 16:, 0] = 128, 200
    with av.open(str(tmp_path / "a.mov"), "w") as film:
        stream = film.add_stream("png", 25, width=32, height=32, pix_fmt="rgba")
        film.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgba")))
    [frame] = frames(tmp_path / "a.mov")
    assert frame.pixels[0, [0, 8, 16]].tolist() == [[255] * 3, [127] * 3, [227, 127, 127]]


def test_10_bits_are_converted_to_8(tmp_path, caplog):
    film = write_film(tmp_path / "a.mp4", PICTURES, pixels="yuv420p10le", **HEVC)
    assert numbers(film) == list(range(12))
    assert f"{film}: 10 bits, converted to 8" in caplog.text


@pytest.mark.parametrize(("transfer", "name", "white"), [(16, "PQ", 150), (18, "HLG", 193)])
def test_hdr_is_converted(tmp_path, caplog, transfer, name, white):
    """Paper of 203 cd/m2, .58 in PQ and .75 in HLG (ITU-R BT.2408), is white; as the numbers are it would be gray."""
    gray = [np.full((64, 64, 3), level, np.uint8) for level in (0, white * 6 // 10, white)]
    color = {"color_trc": transfer, "color_primaries": 9, "colorspace": 9}
    film = write_film(tmp_path / "a.mp4", gray, pixels="yuv420p10le", color=color, **HEVC)
    black, middle, paper = (frame.pixels.mean() for frame in frames(film))
    assert black < 6 and 50 < middle < 140 and paper > 245
    assert f"HDR ({name})" in caplog.text


def test_black_frames_and_films_of_one_and_two(tmp_path):
    black = np.zeros_like(PICTURES[0])
    for count in (1, 2, 3):
        film = write_film(tmp_path / "a.mp4", [black] * count)
        assert [frame.pixels.max() < 4 for frame in frames(film)] == [True] * count


def test_an_animated_png(tmp_path):
    pictures = [Image.fromarray(pixels) for pixels in PICTURES]
    pictures[0].save(tmp_path / "a.png", save_all=True, append_images=pictures[1:], duration=40)
    assert numbers(tmp_path / "a.png") == list(range(12))
    assert [round(frame.time * 25) for frame in frames(tmp_path / "a.png")] == list(range(12))


@pytest.mark.parametrize(
    "name", ["two words.mp4", "{id}.mp4", "http:a.mp4", "a:b.mp4", "50%d%%.mp4", "Ä 写真.mp4", "-i.mp4", "a\nb.mp4"]
)
def test_names(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_film(Path("plain.mp4"), PICTURES).rename(name)
    assert numbers(Path(name)) == list(range(12))


def test_a_name_that_is_not_utf_8(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\x8a.mp4"))
    write_film(tmp_path / "plain.mp4", PICTURES).rename(path)
    assert numbers(path) == list(range(12))


def test_folders_have_natural_order_and_a_rate(tmp_path, caplog):
    for number in (0, 2, 10):
        Image.fromarray(picture(number)).save(tmp_path / f"frame{number}.png")
    (tmp_path / "frame3.png").write_bytes(b"damaged")
    (tmp_path / "notes.txt").write_text("none")
    with caplog.at_level(logging.INFO):
        read = list(frames(tmp_path, rate=Fraction(5)))
    assert [number_of(frame.pixels) for frame in read] == [0, 2, 10]
    assert [(frame.number, frame.time) for frame in read] == [(0, 0), (1, 0.2), (2, 0.6)]
    assert "1 images are skipped, the first: frame3.png: cannot be read" in caplog.text
    assert about(tmp_path) == About(WIDTH, HEIGHT, None, None, sound=False)


def test_natural_order():
    names = ["a10", "a9b", "a9", "b", "10", "9", "a09/2", "a9/10"]
    assert sorted(names, key=natural_key) == ["9", "10", "a9", "a09/2", "a9/10", "a9b", "a10", "b"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no list of open files")
def test_a_film_that_is_not_read_to_its_end_is_closed(tmp_path):
    film = write_film(tmp_path / "a.mp4", PICTURES)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with closing(frames(film)) as opened:
            next(opened)
        about(film)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
