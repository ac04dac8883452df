"""Previews and folders of images: times, tags, and a size that fits into memory."""

from fractions import Fraction
from itertools import pairwise

import pytest
from helpers.films import PICTURES, copy, draw, picture, times, write_film
from PIL import Image

from facemill.data.film import FilmWriter, frames, read_tags
from facemill.errors import UserError

VARIABLE = [0, 1, 5, 6, 7, 20, 21, 22, 40, 41, 55, 56]
TAGS = {"Iptc4xmpExt:DigitalSourceType": "http://cv.iptc.org/x", "title": "{a} Ä 写真"}
MP4, PREVIEWS = "a.mp4", ["a.webp", "a.gif"]


def test_tags_of_a_folder(tmp_path):
    folder = draw(tmp_path / "folder", tags=TAGS)
    assert read_tags(folder / "000011.png") == TAGS


@pytest.mark.parametrize("comment", [b"a comment", b"1", b"[" * 100000, b"\xff"])
def test_comments_that_are_no_tags(tmp_path, comment):
    Image.fromarray(PICTURES[0]).save(tmp_path / "a.gif", comment=comment)
    assert read_tags(tmp_path / "a.gif") == {}


@pytest.mark.parametrize("name", PREVIEWS)
def test_previews_keep_times(tmp_path, name, caplog):
    source = write_film(tmp_path / "source.mp4", PICTURES, times=VARIABLE, sound="aac")
    with Image.open(copy(source, tmp_path / name)) as preview:
        assert preview.n_frames == 12 and preview.info["loop"] == 0
        durations = []
        for number in range(12):
            preview.seek(number)
            preview.load()
            durations.append(preview.info["duration"])
    assert durations[:-1] == [(end - start) * 40 for start, end in pairwise(VARIABLE)]
    assert "without sound, which only .mp4 has" in caplog.text


def test_hundredths_of_a_gif_do_not_add_up(tmp_path):
    with Image.open(draw(tmp_path / "a.gif", [picture(number % 25) for number in range(60)], rate=Fraction(24))) as gif:
        total = 0
        for number in range(gif.n_frames):
            gif.seek(number)
            total += gif.info["duration"]
    assert abs(total - 2500) <= 10


def test_a_preview_that_is_too_long(tmp_path, monkeypatch):
    monkeypatch.setattr("facemill.data.film_previews.MAX_BYTES", 5 * PICTURES[0].nbytes)
    with pytest.raises(UserError, match="5 frames fill a preview; accepted: .mp4 for longer films"):
        draw(tmp_path / "a.webp")
    assert not list(tmp_path.iterdir())


def test_folder_to_folder_and_to_film(tmp_path):
    folder = draw(tmp_path / "one")
    assert [path.name for path in sorted(folder.iterdir())][::11] == ["000000.png", "000011.png"]
    again = copy(folder, tmp_path / "two")
    for frame, pixels in zip(frames(again), PICTURES, strict=True):
        assert (frame.pixels == pixels).all()
    film = tmp_path / MP4
    with FilmWriter(film, like=folder) as writer:
        for frame in frames(folder, rate=Fraction(10)):
            writer.write(frame.pixels, frame)
    assert times(film) == [Fraction(number, 10) for number in range(12)]
    copy(folder, tmp_path / "two")  # a folder of frames may be replaced
