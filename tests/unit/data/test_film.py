"""Films that are written: times, sound, tags and colors come back, and there is a complete film or none."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from helpers.films import number_of, picture, sound_packets, tone, write_film
from PIL import Image

from facemill.data.film import FilmWriter, about, frames, read_tags
from facemill.errors import UserError

PICTURES = [picture(number) for number in range(12)]
VARIABLE = [0, 1, 5, 6, 7, 20, 21, 22, 40, 41, 55, 56]
TAGS = {"Iptc4xmpExt:DigitalSourceType": "http://cv.iptc.org/x", "title": "{a} Ä 写真"}
MP4, PREVIEWS = "a.mp4", ["a.webp", "a.gif"]


def copy(source: Path, target: Path, **options) -> Path:
    """Writes a film's frames, unchanged, as all users of films do."""
    with FilmWriter(target, like=source, **options) as film:
        for frame in frames(source):
            film.write(frame.pixels, frame)
    return target


def draw(target: Path, pictures=PICTURES, **options) -> Path:
    with FilmWriter(target, **options) as film:
        for pixels in pictures:
            film.write(pixels)
    return target


def times(path: Path) -> list[Fraction]:
    return [frame.pts * frame.time_base for frame in frames(path)]


def samples_of(path: Path) -> np.ndarray:
    """The sound of a film, float32 (N,)."""
    with av.open(str(path)) as film:
        return np.concatenate([frame.to_ndarray().mean(0) for frame in film.decode(audio=0)])


@pytest.mark.parametrize("codec", ["h264", "vp9"])
@pytest.mark.parametrize("base", [Fraction(1, 25), Fraction(1001, 30000), Fraction(1, 90000)])
def test_times_are_those_of_the_source(tmp_path, codec, base):
    steps = [number * 3003 if base.denominator == 90000 else number for number in VARIABLE]
    source = write_film(tmp_path / "source.mp4", PICTURES, times=steps, base=base)
    film = copy(source, tmp_path / "film.mp4", codec=codec)
    assert times(film) == times(source) == [step * base for step in steps]
    read = [number_of(frame.pixels) for frame in frames(film)]
    assert np.abs(np.subtract(read, range(12))).max() <= (codec == "vp9")  # which smooths over time


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


def test_tags_of_a_folder(tmp_path):
    folder = draw(tmp_path / "folder", tags=TAGS)
    assert read_tags(folder / "000011.png") == TAGS


def test_tags_of_what_is_no_film(tmp_path):
    (tmp_path / "a.txt").write_text("none")
    with pytest.raises(UserError, match="not a film"):
        read_tags(tmp_path / "a.txt")


@pytest.mark.parametrize(("name", "options"), [(MP4, {}), (MP4, {"codec": "vp9"}), *((name, {}) for name in PREVIEWS)])
def test_the_same_frames_give_the_same_bytes(tmp_path, name, options):
    source = write_film(tmp_path / "source.mp4", PICTURES * 3, sound="aac")
    first = copy(source, tmp_path / name, tags=TAGS, **options).read_bytes()
    time.sleep(1.1)  # the clock must not get in
    assert copy(source, tmp_path / name, tags=TAGS, **options).read_bytes() == first


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


def test_an_output_that_is_the_input(tmp_path):
    source = write_film(tmp_path / "source.mp4", PICTURES)
    (tmp_path / "link.mp4").symlink_to(source)
    for path in source, tmp_path / "link.mp4", tmp_path / "x" / ".." / "source.mp4":
        with pytest.raises(UserError, match="would replace .*source.mp4, which is read; accepted: another path"):
            FilmWriter(path, like=source)


def test_outputs_that_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"\.avi is not written; accepted: \.mp4, \.webp, \.gif, or a folder's name"):
        FilmWriter(tmp_path / "a.avi")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "dear.txt").write_text("hello")
    with pytest.raises(UserError, match="holds dear.txt, and would be replaced; accepted: a new folder"):
        FilmWriter(tmp_path / "photos")
    with pytest.raises(UserError, match="rate -1: accepted: above 0"):
        FilmWriter(tmp_path / MP4, rate=Fraction(-1))
    with pytest.raises(UserError, match="not a film"):
        FilmWriter(tmp_path / MP4, like=tmp_path / "photos" / "dear.txt")


def test_frames_that_the_encoder_refuses(tmp_path):
    with pytest.raises(UserError, match=r"a\.mp4: 20000 x 2 pixels cannot be encoded .*accepted: smaller frames"):
        draw(tmp_path / MP4, [np.zeros((2, 20000, 3), np.uint8)])
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_nothing(tmp_path):
    """A limit on a file's size, which a disk that is full behaves like."""
    script = (
        "import resource, sys, numpy as np; from pathlib import Path; from facemill.data.film import FilmWriter\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000)); rng = np.random.default_rng(0)\n"
        "with FilmWriter(Path(sys.argv[1])) as film:\n"
        "    for _ in range(60): film.write(rng.integers(0, 256, (64, 64, 3)).astype(np.uint8))\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / MP4)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1 and "OSError: [Errno 27] File too large" in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [MP4, "a.gif", "folder"])
def test_a_film_without_a_frame(tmp_path, name):
    with pytest.raises(UserError, match="not a single frame was written"), FilmWriter(tmp_path / name):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [MP4, "a.gif", "folder"])
@pytest.mark.parametrize("fault", [RuntimeError, KeyboardInterrupt])
def test_a_fault_leaves_the_film_before(tmp_path, name, fault):
    film = draw(tmp_path / name, PICTURES[:3])
    with pytest.raises(fault), FilmWriter(film, sound=tone(1)) as writer:
        for pixels in PICTURES:
            writer.write(pixels)
        raise fault
    assert list(tmp_path.iterdir()) == [film]
    if name != "a.gif":
        assert len(times(film)) == 3


def test_frames_that_do_not_belong(tmp_path):
    with pytest.raises(ValueError, match="in a film of 96 x 64"):
        draw(tmp_path / MP4, [PICTURES[0], picture(0, 32, 32)])
    with pytest.raises(ValueError, match="float64 pixels"):
        draw(tmp_path / MP4, [PICTURES[0] / 255])
    with pytest.raises(ValueError, match="in a film of 32 x 32"):
        draw(tmp_path / MP4, size=(32, 32))
    source = list(frames(write_film(tmp_path / "source.mp4", PICTURES[:2])))
    with pytest.raises(ValueError, match="after one at 512"), FilmWriter(tmp_path / MP4) as film:
        for frame in reversed(source):
            film.write(frame.pixels, frame)


def test_a_killed_writer_leaves_no_film(tmp_path):
    script = (
        "import sys, time, numpy as np; from pathlib import Path; from facemill.data.film import FilmWriter\n"
        "with FilmWriter(Path(sys.argv[1])) as film:\n"
        "    for number in range(200): film.write(np.full((64, 64, 3), number, np.uint8))\n"
        "    print('written', flush=True); time.sleep(60)\n"
    )
    film = tmp_path / MP4
    with subprocess.Popen([sys.executable, "-c", script, str(film)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "written\n"
        os.kill(process.pid, signal.SIGKILL)
    assert not film.exists()
    assert [path.name for path in tmp_path.iterdir()] == [".a.part.mp4"]
    draw(film)
    assert list(tmp_path.iterdir()) == [film] and len(times(film)) == 12
