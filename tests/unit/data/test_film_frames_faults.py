"""Films and folders that are damaged, cut short or none at all: what is read, or the one line that says why not."""

from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import av
import numpy as np
import pytest
from helpers.films import PICTURES, picture, write_film
from PIL import Image

from facemill.data.film import about, frames
from facemill.errors import UserError

SHARP = {"crf": "4", "bf": "2"}


def refusal(path: Path) -> str:
    """The one line with which a film is refused, after its name."""
    with pytest.raises(UserError) as error:
        list(frames(path))
    name, _, message = str(error.value).partition(f"{path}: ")
    assert not name and "\n" not in message and "accepted" in message
    return message


def test_what_is_no_film(tmp_path):
    for name, content in {
        "empty.mp4": b"",
        "text.mp4": b"hello\n" * 99,
        "text.txt": b"hello\n" * 99,
    }.items():
        (tmp_path / name).write_bytes(content)
        assert refusal(tmp_path / name).startswith("not a film (")
    with pytest.raises(UserError, match="no such film or folder"):
        about(tmp_path / "none.mp4")


def test_playlists_fetch_nothing(tmp_path):
    write_film(tmp_path / "a.ts", PICTURES)
    asked = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            asked.append(args)

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=tmp_path)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/a.ts"
        for name, content in {
            "list.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{address}\n#EXT-X-ENDLIST\n",
            "list.ffconcat": f"ffconcat version 1.0\nfile {address}\n",
        }.items():
            (tmp_path / name).write_text(content)
            assert refusal(tmp_path / name).startswith("not a film (")
        server.shutdown()
    assert not asked


def test_sound_with_a_cover(tmp_path):
    with av.open(str(tmp_path / "a.mp3"), "w") as film:
        sound, cover = film.add_stream("libmp3lame", 48000), film.add_stream("png", 1, width=32, height=32)
        cover.pix_fmt, cover.disposition = "rgb24", av.stream.Disposition.attached_pic
        film.mux(cover.encode(av.VideoFrame.from_ndarray(picture(0, 32, 32), "rgb24")))
        block = av.AudioFrame.from_ndarray(np.zeros((2, 48000), np.float32), "fltp", "stereo")
        block.rate, block.pts, block.time_base = 48000, 0, Fraction(1, 48000)
        film.mux(sound.encode(block))
        film.mux(sound.encode(None))
    with av.open(str(tmp_path / "a.mp3")) as film:
        assert film.streams.video
    assert "no pictures that can be read" in refusal(tmp_path / "a.mp3")


def test_sound_alone(tmp_path):
    film = write_film(tmp_path / "a.mp4", PICTURES, sound="aac")
    with av.open(str(film)) as source, av.open(str(tmp_path / "a.m4a"), "w", format="mp4") as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    assert refusal(tmp_path / "a.m4a") == "no pictures that can be read (only audio); accepted: films"


def test_a_film_without_a_frame(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as film:
        film.add_stream("libx264", 25, width=64, height=64)
        film.start_encoding()
    assert "an empty film" in refusal(tmp_path / "a.mp4")


def packets(path: Path) -> list[tuple[int, int]]:
    """Place and size in the file of each packet of pictures."""
    with av.open(str(path)) as film:
        return [(packet.pos, packet.size) for packet in film.demux(video=0) if packet.size]


@pytest.mark.parametrize("place", [1, 5, 10, 11])
def test_a_damaged_packet_is_skipped_and_counted(tmp_path, caplog, place):
    film = write_film(tmp_path / "a.mp4", PICTURES, options=SHARP)
    content = bytearray(film.read_bytes())
    start, size = packets(film)[place]
    content[start : start + size] = bytes(size)
    film.write_bytes(content)
    read = list(frames(film))
    assert [frame.number for frame in read] == list(range(11))
    assert {round(frame.time * 25) for frame in read} < set(range(12))  # the others keep their times
    assert "1 damaged packets are skipped, 11 frames are read" in caplog.text


def test_every_packet_damaged(tmp_path):
    film = write_film(tmp_path / "a.mp4", PICTURES)
    content = bytearray(film.read_bytes())
    for start, size in packets(film):
        content[start : start + size] = bytes(size)
    film.write_bytes(content)
    assert refusal(film).startswith("not a single frame can be read")


def test_a_film_cut_short(tmp_path, caplog):
    """Its header first, what is left is read; its header last, as phones write it, there is nothing to begin with."""
    film = write_film(tmp_path / "a.mp4", PICTURES, container={"movflags": "faststart"}, options=SHARP)
    film.write_bytes(film.read_bytes()[: sum(packets(film)[8])])
    assert len(list(frames(film))) == 9
    assert "cut short, 9 frames of the 12 that its header names" in caplog.text
    last = write_film(tmp_path / "b.mp4", PICTURES)
    last.write_bytes(last.read_bytes()[: sum(packets(last)[8])])
    assert refusal(last).startswith("not a film (")


def test_frames_that_change_size_stop_the_run(tmp_path):
    small = [picture(number, 64, 48) for number in range(3)]
    films = write_film(tmp_path / "a.h264", PICTURES), write_film(tmp_path / "b.h264", small)
    both = tmp_path / "c.h264"
    both.write_bytes(b"".join(film.read_bytes() for film in films))
    assert refusal(both) == "frame 12 has 64 x 48 pixels, those before it 96 x 64; accepted: frames of one size"


def test_faults_of_folders(tmp_path):
    with pytest.raises(UserError, match="no image among 0 files"):
        list(frames(tmp_path))
    Image.new("RGB", (8, 8)).save(tmp_path / "1.png")
    Image.new("RGB", (9, 8)).save(tmp_path / "2.png")
    assert "frame 1 has 9 x 8 pixels" in refusal(tmp_path)
    with pytest.raises(UserError, match="accepted: above 0 frames a second"):
        list(frames(tmp_path, rate=Fraction(0)))
