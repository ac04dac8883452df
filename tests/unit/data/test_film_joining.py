"""Films joined from pieces without encoding them again."""

from fractions import Fraction

import av
import numpy as np
import pytest
from helpers.films import PICTURES, sound_packets, times, write_film

from facemill.data.film import FilmWriter, about, frames, read_tags
from facemill.data.film_joining import join_films

VARIABLE = [0, 1, 5, 6, 7, 20, 21, 22, 40, 41, 55, 56, 57, 59, 60, 80, 81, 90, 91, 92, 93, 94, 95, 99]


def pieces_of(source, folder, size):
    """Pieces of a film, of so many frames each."""
    folder.mkdir()
    shots, paths = list(frames(source)), []
    for start in range(0, len(shots), size):
        paths.append(folder / f"{start:03}.mp4")
        with FilmWriter(paths[-1], rate=about(source).rate) as film:
            for frame in shots[start : start + size]:
                film.write(frame.pixels, frame)
    return paths


@pytest.mark.parametrize("steps", [range(24), VARIABLE], ids=["constant", "variable"])
@pytest.mark.parametrize("base", [Fraction(1, 25), Fraction(1001, 30000), Fraction(1, 90000)])
@pytest.mark.parametrize("size", [1, 5, 12, 23, 24])
def test_times_sound_and_tags_are_those_of_the_whole(tmp_path, size, base, steps):
    ticks = [step * 3003 if base.denominator == 90000 else step for step in steps]
    source = write_film(tmp_path / "source.mp4", PICTURES * 2, times=ticks, base=base, sound="aac")
    film = tmp_path / "film.mp4"
    pieces = pieces_of(source, tmp_path / "pieces", size)
    join_films(film, pieces, like=source, tags={"title": "joined"})
    assert times(film) == times(source)
    assert sound_packets(film) == sound_packets(source) != []
    assert read_tags(film)["title"] == "joined"
    read = [frame.pixels for piece in pieces for frame in frames(piece)]
    assert all((frame.pixels == pixels).all() for frame, pixels in zip(frames(film), read, strict=True))


def test_packets_are_copied_and_the_header_comes_first(tmp_path):
    source = write_film(tmp_path / "source.mp4", PICTURES * 2)
    pieces, film = pieces_of(source, tmp_path / "pieces", 10), tmp_path / "film.mp4"
    join_films(film, pieces)

    def packets(path):
        with av.open(str(path)) as opened:
            return [bytes(packet) for packet in opened.demux(video=0) if packet.size]

    assert packets(film) == [packet for piece in pieces for packet in packets(piece)]
    content = film.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    assert about(film).rate == about(source).rate


def test_the_same_pieces_give_the_same_bytes(tmp_path):
    source = write_film(tmp_path / "source.mp4", PICTURES * 2, sound="aac")
    pieces = pieces_of(source, tmp_path / "pieces", 10)
    first, second = tmp_path / "1.mp4", tmp_path / "2.mp4"
    for film in (first, second):
        join_films(film, pieces, like=source)
    assert first.read_bytes() == second.read_bytes()


def test_the_sound_of_a_part_begins_and_ends_with_it(tmp_path):
    source = write_film(tmp_path / "source.mp4", PICTURES * 3, sound="aac")
    begin, end = Fraction(10, 25), Fraction(20, 25)
    piece = tmp_path / "piece.mp4"
    with FilmWriter(piece, rate=Fraction(25)) as film:
        for frame in list(frames(source))[10:20]:
            film.write(frame.pixels)
    film = tmp_path / "film.mp4"
    join_films(film, [piece], like=source, span=(begin, end))
    expected = [(content, when - begin) for content, when in sound_packets(source) if begin <= when < end]
    assert [content for content, _ in sound_packets(film)] == [content for content, _ in expected]
    shifts = [float(a - b) for (_, a), (_, b) in zip(sound_packets(film), expected, strict=True)]
    assert np.abs(shifts).max() <= 0.5 / 48000
    assert sound_packets(film)[0][1] < Fraction(1024, 48000)


def test_pieces_out_of_order_and_of_other_settings_are_refused(tmp_path):
    source = write_film(tmp_path / "source.mp4", PICTURES)
    first, second = pieces_of(source, tmp_path / "pieces", 6)
    with pytest.raises(ValueError, match="begins at 0, the piece before it ends at"):
        join_films(tmp_path / "film.mp4", [second, first])
    other = tmp_path / "other.mp4"
    with FilmWriter(other, rate=Fraction(25), size=(32, 32)) as film:
        for frame in frames(second):
            film.write(frame.pixels[:32, :32], frame)
    with pytest.raises(ValueError, match="pieces of 2 settings"):
        join_films(tmp_path / "film.mp4", [first, other])
    assert not (tmp_path / "film.mp4").exists()
