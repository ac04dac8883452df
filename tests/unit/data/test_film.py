"""Films that are written: times, tags and colors come back, and the same frames give the same bytes."""

import json
import shutil
import subprocess
import time
from fractions import Fraction

import numpy as np
import pytest
from helpers.films import (
    PICTURES,
    copy,
    draw,
    number_of,
    picture,
    sound_packets,
    times,
    write_film,
)

from facemill.data.film import about, frames, read_tags

VARIABLE = [0, 1, 5, 6, 7, 20, 21, 22, 40, 41, 55, 56]
TAGS = {"Iptc4xmpExt:DigitalSourceType": "http://cv.iptc.org/x", "title": "{a} Ä 写真"}
MP4, PREVIEWS = "a.mp4", ["a.webp", "a.gif"]


@pytest.mark.parametrize("codec", ["h264", "vp9"])
@pytest.mark.parametrize("base", [Fraction(1, 25), Fraction(1001, 30000), Fraction(1, 90000)])
def test_times_are_those_of_the_source(tmp_path, codec, base):
    steps = [number * 3003 if base.denominator == 90000 else number for number in VARIABLE]
    source = write_film(tmp_path / "source.mp4", PICTURES, times=steps, base=base)
    film = copy(source, tmp_path / "film.mp4", codec=codec)
    assert times(film) == times(source) == [step * base for step in steps]
    read = [number_of(frame.pixels) for frame in frames(film)]
    assert np.abs(np.subtract(read, range(12))).max() <= (codec == "vp9")  # which smooths over time


def test_odd_sides_are_padded(tmp_path):
    pixels = picture(0, 33, 31)
    film = draw(tmp_path / MP4, [pixels, pixels])
    assert (about(film).width, about(film).height) == (34, 32)
    read = next(frames(film)).pixels.astype(int)
    assert np.abs(read[:31, :33] - pixels).mean() < 3
    assert np.abs(read[31] - read[30]).max() < 12 and np.abs(read[:, 33] - read[:, 32]).max() < 12


@pytest.mark.parametrize("codec", ["h264", "vp9"])
@pytest.mark.parametrize("color", [(240, 200, 180), (240, 106, 168), (20, 20, 20), (0, 0, 255), (255, 255, 255)])
def test_colors_come_back(tmp_path, codec, color):
    pixels = np.full((64, 64, 3), color, np.uint8)
    film = draw(tmp_path / MP4, [pixels] * 3, codec=codec)
    assert all(np.abs(frame.pixels.mean((0, 1)) - color).max() <= 3 for frame in frames(film))


def test_films_do_not_grow_darker(tmp_path):
    """FFmpeg's quick conversions of colors lose a level or two each time."""
    film = draw(tmp_path / MP4, PICTURES * 2)
    assert np.abs(np.mean([frame.pixels for frame in frames(film)]) - np.mean(PICTURES)) < 0.5


@pytest.mark.skipif(not shutil.which("ffprobe"), reason="no ffprobe")
def test_ffprobe_reads_what_was_written(tmp_path):
    source = write_film(tmp_path / "source.mov", PICTURES, times=VARIABLE, sound="aac")
    film = copy(source, tmp_path / MP4, tags=TAGS)
    entries = "stream=codec_name,pix_fmt,color_space,color_range,nb_read_frames:frame=pts_time:format_tags"
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_entries", entries, "-of", "json", str(film)]
    probe = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    pictures, sound = probe["streams"]
    assert pictures["codec_name"] == "h264" and sound["codec_name"] == "aac"
    assert (pictures["pix_fmt"], pictures["color_space"], pictures["color_range"]) == ("yuv420p", "bt709", "tv")
    assert pictures["nb_read_frames"] == "12"
    assert TAGS.items() <= probe["format"]["tags"].items()


@pytest.mark.parametrize("name", [MP4, *PREVIEWS])
def test_tags_come_back(tmp_path, name):
    assert TAGS.items() <= read_tags(draw(tmp_path / name, tags=TAGS)).items()
    assert not TAGS.keys() & read_tags(draw(tmp_path / name)).keys()


@pytest.mark.parametrize(("name", "options"), [(MP4, {}), (MP4, {"codec": "vp9"}), *((name, {}) for name in PREVIEWS)])
def test_the_same_frames_give_the_same_bytes(tmp_path, name, options):
    source = write_film(tmp_path / "source.mp4", PICTURES * 3, sound="aac")
    first = copy(source, tmp_path / name, tags=TAGS, **options).read_bytes()
    time.sleep(1.1)  # the clock must not get in
    assert copy(source, tmp_path / name, tags=TAGS, **options).read_bytes() == first


def test_the_rate_of_frames_without_times(tmp_path):
    source = write_film(tmp_path / "source.mp4", PICTURES, base=Fraction(1, 30))
    assert times(draw(tmp_path / MP4, PICTURES[:3], like=source))[2] == Fraction(2, 30)
    assert times(draw(tmp_path / MP4, PICTURES[:3]))[2] == Fraction(2, 12)
    assert times(draw(tmp_path / MP4, PICTURES[:3], rate=Fraction(24000, 1001)))[2] == Fraction(2002, 24000)


@pytest.mark.parametrize("count", [1, 2])
def test_short_and_black_films(tmp_path, count):
    source = write_film(tmp_path / "source.mp4", [np.zeros_like(PICTURES[0])] * count, sound="aac")
    film = copy(source, tmp_path / MP4)
    assert times(film) == times(source) and len(times(film)) == count
    assert sound_packets(film) == sound_packets(source)


def test_names_with_spaces_and_braces(tmp_path):
    film = draw(tmp_path / "new {folder}" / "50%d: Ä {id}.mp4")
    assert len(times(film)) == 12
