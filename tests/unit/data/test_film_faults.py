"""Films that cannot be written: there is a complete film, or the one before, and one line says why."""

import os
import signal
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from helpers.films import PICTURES, draw, picture, times, tone, write_film

from facemill.data.film import FilmWriter, frames, read_tags
from facemill.errors import UserError

MP4 = "a.mp4"


def test_tags_of_what_is_no_film(tmp_path):
    (tmp_path / "a.txt").write_text("none")
    with pytest.raises(UserError, match="not a film"):
        read_tags(tmp_path / "a.txt")


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
