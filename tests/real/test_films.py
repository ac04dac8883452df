"""Real films, read and written again: variable rates, MP3 in MP4, a delayed sound, pixels that are not square."""

import json
import os
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from helpers.films import sound_packets

from facemill.data.film import FilmWriter, about, frames

FILMS = Path(os.environ.get("FACEMILL_REAL_DATA", "../shared/data")) / "films"
pytestmark = pytest.mark.skipif(not FILMS.is_dir(), reason=f"no real films at {FILMS}")

CLIPS = {
    "WolfgangLanger_Pexels.mp4": (472, 640, 360, Fraction(24000, 1001), 923),
    "single_face.mp4": (72, 640, 360, Fraction(30), 93),
    "face_noface.mov": (169, 960, 540, Fraction(519168, 19667), 172),
    "noface_face.mov": (169, 960, 540, Fraction(519168, 19595), 172),
    "no_face.mp4": (95, 960, 540, Fraction(150528, 6359), 172),
    "carphone_pristine.mp4": (120, 192, 144, Fraction(30000, 1001), 0),  # 176 pixels of 128 : 117
}
"""Frames, width, height, rate and packets of sound."""


def ffprobe(path: Path, entry: str) -> dict:
    command = ["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", entry, "-of", "json", str(path)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


@pytest.mark.parametrize("name", CLIPS)
def test_a_copy_has_the_frames_times_and_sound_of_its_source(tmp_path, name):
    count, width, height, rate, sounds = CLIPS[name]
    source, film = FILMS / name, tmp_path / "film.mp4"
    info = about(source)
    assert (info.width, info.height, info.rate, info.sound) == (width, height, rate, sounds > 0)
    assert info.duration
    with FilmWriter(film, like=source) as writer:
        for frame in frames(source):
            writer.write(frame.pixels, frame)
    errors, times, darker = [], [], []
    for original, copied in zip(frames(source), frames(film), strict=True):
        assert original.pts * original.time_base == copied.pts * copied.time_base
        times.append(original.time)
        difference = original.pixels.astype(int) - copied.pixels
        errors.append(np.abs(difference).mean())
        darker.append(difference.mean())
    assert (
        len(times) == count and max(errors) < 4 and abs(np.mean(darker)) < 0.6 and 0 <= info.duration - times[-1] < 0.2
    )
    assert sound_packets(film) == sound_packets(source)
    assert len(sound_packets(film)) == sounds
    if shutil.which("ffprobe"):
        shown = ffprobe(film, "frame=pts_time")["frames"]
        assert np.allclose([float(frame["pts_time"]) for frame in shown], times, atol=1e-6)
