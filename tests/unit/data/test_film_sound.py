"""Sound of films that are written: copied packet by packet, encoded where MP4 does not hold it."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from helpers.films import PICTURES, copy, draw, picture, sound_packets, times, tone, write_film

from facemill.data.film import about

MP4 = "a.mp4"


def samples_of(path: Path) -> np.ndarray:
    """The sound of a film, float32 (N,)."""
    with av.open(str(path)) as film:
        return np.concatenate([frame.to_ndarray().mean(0) for frame in film.decode(audio=0)])


@pytest.mark.parametrize(
    ("name", "sound", "codec"),
    [
        ("source.mp4", "aac", "libx264"),
        ("source.mkv", "libmp3lame", "libx264"),
        ("source.mov", "ac3", "libx264"),
        ("source.webm", "libopus", "libvpx-vp9"),
        ("source.mkv", "flac", "libx264"),
    ],
)
@pytest.mark.parametrize("delay", [0, 0.30031])
def test_sound_is_copied_packet_by_packet(tmp_path, caplog, name, sound, codec, delay):
    container = {"movie_timescale": "48000"} if name in ("source.mp4", "source.mov") else {}
    source = write_film(tmp_path / name, PICTURES * 3, sound=sound, codec=codec, delay=delay, container=container)
    copied, original = sound_packets(copy(source, tmp_path / MP4)), sound_packets(source)
    assert [content for content, _ in copied] == [content for content, _ in original] != []
    assert [when for _, when in copied] == [when for _, when in original]
    assert not caplog.records


def test_sound_of_an_mpeg_stream_stays_with_its_pictures(tmp_path):
    container = {"output_ts_offset": "5000"}
    source = write_film(tmp_path / "source.ts", PICTURES * 3, sound="aac", container=container)
    film = copy(source, tmp_path / MP4)
    assert times(film) == times(source)
    with av.open(str(source)) as opened:
        start = Fraction(opened.start_time, 10**6)
    pairs = list(zip(sound_packets(film), sound_packets(source), strict=True))
    assert all(abs(copied - (original - start)) < Fraction(1, 40000) for (_, copied), (_, original) in pairs)


@pytest.mark.parametrize(
    ("name", "sound", "codec"), [("source.mov", "pcm_s16le", "libx264"), ("source.avi", "adpcm_ms", "mpeg4")]
)
def test_sound_that_does_not_fit_is_encoded(tmp_path, caplog, name, sound, codec):
    source = write_film(tmp_path / name, PICTURES * 3, sound=sound, codec=codec)
    film = copy(source, tmp_path / MP4)
    with av.open(str(film)) as opened:
        assert opened.streams.audio[0].codec_context.name == "aac"
    heard, expected = samples_of(film), tone(36 / 25)
    assert abs(len(heard) - len(expected)) <= 2048
    overlap = slice(1024, min(len(heard), len(expected)) - 1024)
    assert np.corrcoef(heard[overlap], expected[overlap])[0, 1] > 0.98
    assert f"sound of kind {sound} does not fit into the film, and is encoded to AAC" in caplog.text


def test_sound_of_a_film_cut_short(tmp_path):
    source = write_film(tmp_path / "source.mp4", PICTURES * 9, sound="aac", container={"movflags": "faststart"})
    original = sound_packets(source)
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    film = copy(source, tmp_path / MP4)
    assert times(film) == times(source) and 0 < len(times(film)) < 108
    copied = sound_packets(film)
    assert 0 < len(copied) < len(original)
    assert copied[:-1] == original[: len(copied) - 1]


def test_sound_of_an_unknown_codec_is_left_out(tmp_path, caplog):
    source = write_film(tmp_path / "source.mkv", PICTURES, sound="flac")
    content = source.read_bytes()
    assert content.count(b"A_FLAC") == 1
    source.write_bytes(content.replace(b"A_FLAC", b"A_NONE"))
    film = copy(source, tmp_path / MP4)
    assert not about(film).sound and len(times(film)) == 12
    assert "sound that FFmpeg does not know is left out" in caplog.text


def test_no_sound(tmp_path):
    assert not about(copy(write_film(tmp_path / "source.mp4", PICTURES), tmp_path / MP4)).sound


def test_sound_of_ones_own(tmp_path):
    film = draw(tmp_path / MP4, PICTURES * 2, rate=Fraction(12), sound=tone(2, 44100), sound_rate=44100)
    heard = samples_of(film)
    assert abs(len(heard) - 88200) <= 2048
    expected = tone(2, 44100)
    overlap = min(len(heard), len(expected))
    assert np.corrcoef(heard[:overlap], expected[:overlap])[0, 1] > 0.98
    with av.open(str(film)) as opened:
        assert opened.streams.audio[0].start_time == 0


def test_sound_and_pictures_lie_side_by_side(tmp_path):
    """Players read both at once; a film with all its sound at the end would have to be loaded first."""
    film = draw(tmp_path / MP4, [picture(number, 16, 16) for number in range(160)], rate=Fraction(4), sound=tone(40))
    with av.open(str(film)) as opened:
        placed = sorted(
            (packet.pos, packet.stream.type, float(packet.pts * packet.time_base))
            for packet in opened.demux()
            if packet.size
        )
    latest = {"video": 0.0, "audio": 0.0}
    for _, kind, when in placed:
        latest[kind] = when
        assert abs(latest["video"] - latest["audio"]) < 8  # the encoder looks ahead
    content = film.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
