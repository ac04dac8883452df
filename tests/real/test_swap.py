"""Stage `swap` on real films: a variable rate, MP3 in MP4, a face that goes. The network has random weights."""

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.scenes import save_varied_unet
from helpers.swap_faces import SETTINGS
from helpers.swapped import face_at, save_network

from facemill.data.classes import SEVEN
from facemill.data.film import frames
from facemill.data.shards import write_shard
from facemill.swap.convert_faces import convert_faces
from facemill.swap.evaluate_swap import evaluate_swap
from facemill.swap.faces import FACES_SCHEMA, FRAMES_SCHEMA, row_of
from facemill.swap.rejects import frame_rows, hold_out

FILMS = Path(os.environ.get("FACEMILL_REAL_DATA", "../shared/data")) / "films"
pytestmark = pytest.mark.skipif(not FILMS.is_dir(), reason=f"no real films at {FILMS}")

CLIPS = {"a": FILMS / "single_face.mp4", "b": FILMS / "face_noface.mov"}
IN_BOX = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.78)])
"""Eyes and mouth in the box of OpenCV's cascade, about."""


def write_tables(folder: Path, side: str) -> Path:
    """Tables of the faces that OpenCV's cascade finds."""
    cascade = cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml"))
    rows, seen = [], []
    for frame in frames(CLIPS[side]):
        seen.append((frame.number, frame.pts, frame.time))
        gray = cv2.cvtColor(frame.pixels, cv2.COLOR_RGB2GRAY)
        boxes = cascade.detectMultiScale(gray, 1.1, 8, minSize=(frame.pixels.shape[0] // 5,) * 2)
        if len(boxes):
            x, y, width, height = max(boxes, key=lambda box: box[2])
            points = IN_BOX * (width, height) + (x, y)
            rows.append(row_of(face_at(frame.pixels, points, frame.number, frame.pts, frame.time, side)))
    rows = hold_out(rows, 0.15)
    folder.mkdir()
    write_shard(folder / "faces.parquet", rows, FACES_SCHEMA, SEVEN)
    write_shard(folder / "frames.parquet", frame_rows(seen, rows), FRAMES_SCHEMA)
    return folder / "faces.parquet"


def test_real_films_keep_their_times_their_sound_and_all_but_the_faces(tmp_path):
    save_network(tmp_path)
    save_varied_unet(tmp_path / "unet.safetensors")
    model = tmp_path / "model.safetensors"
    tables = {side: write_tables(tmp_path / side, side) for side in CLIPS}
    swapped = [tmp_path / "a2b.mp4", tmp_path / "b2a.mp4"]
    for out, (side, film) in zip(swapped, CLIPS.items(), strict=True):
        convert_faces(model=model, input=film, direction=out.stem, out=out, faces=tables[side])
    evaluate_swap(
        model=model,
        **tables,
        film_a=CLIPS["a"],
        film_b=CLIPS["b"],
        swapped=swapped,
        unet=tmp_path / "unet.safetensors",
        settings=SETTINGS,
        seed=0,
        metrics=tmp_path / "metrics.json",
        picture=tmp_path / "swap.png",
    )
    figures = json.loads((tmp_path / "metrics.json").read_text())
    for way, count in (("a2b", 72), ("b2a", 169)):
        assert figures[way]["written"] == {"count": count, "frames": True, "times": True, "sound": True}
        assert figures[way]["color"]["mean"] < 10
    assert figures["a"]["faces"]["with_face"] > 0.9
    assert 0.1 < figures["b"]["faces"]["with_face"] < 0.9  # then a title
