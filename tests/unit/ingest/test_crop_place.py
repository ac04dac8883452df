"""Portraits in images of another aspect: in the middle, at the top, at the face, the same in every stage."""

import numpy as np
import pytest
from PIL import Image

from facemill.config.ingest import DetectorConfig, PortraitsConfig
from facemill.ingest import crop_place
from facemill.ingest.crop_place import face_centering, placing, warn_of_cut_heads
from facemill.ingest.find_portraits import find_candidates
from facemill.ingest.portraits import MIDDLE, TOP, Box, center_box, crop_portrait

DETECTOR = DetectorConfig(kind="animeface", min_face=5)


@pytest.fixture
def faces(monkeypatch):
    """Stands in for a detector, of which there is none here: bright parts are faces."""

    def detect(pixels: np.ndarray) -> list[tuple[int, int, int, int]]:
        rows, columns = np.nonzero(pixels[..., 0] > 127)
        if not len(rows):
            return []
        return [(columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)]

    monkeypatch.setattr(crop_place, "face_detector", lambda settings: detect)


def picture(width: int, height: int, face: tuple[int, int, int, int] | None = None) -> Image.Image:
    image = Image.new("RGB", (width, height))
    if face:
        x, y, w, h = face
        image.paste((255, 255, 255), (x, y, x + w, y + h))
    return image


def test_boxes_at_the_top_are_as_large_as_those_in_the_middle():
    assert center_box(100, 400, 1, TOP) == Box(0, 0, 1, 0.25)
    assert center_box(400, 100, 1, TOP) == center_box(400, 100, 1, MIDDLE) == Box(0.375, 0, 0.625, 1)
    assert center_box(100, 400, 2, TOP) == Box(0, 0, 1, 0.5)


@pytest.mark.parametrize(
    ("size", "face", "ratio", "box"),
    [
        ((100, 300), (40, 120, 20, 20), 1, (0, 110, 100, 210)),  # half of the face's height above it
        ((100, 300), (40, 5, 20, 20), 1, (0, 0, 100, 100)),  # not beyond the image
        ((100, 300), (40, 280, 20, 20), 1, (0, 200, 100, 300)),
        ((300, 100), (200, 10, 40, 40), 1, (170, 0, 270, 100)),
        ((100, 300), (40, 60, 20, 20), 2, (0, 50, 100, 250)),  # the body below the face
        ((100, 100), (5, 60, 20, 20), 1, (0, 0, 100, 100)),
    ],
)
def test_the_largest_box_around_a_face(size, face, ratio, box):
    left, top, right, bottom = center_box(*size, ratio, face_centering(face, *size, ratio, 0.5))
    assert np.allclose((left * size[0], top * size[1], right * size[0], bottom * size[1]), box)


def test_a_portrait_begins_above_the_face_or_at_the_top_without_one(faces):
    place = placing("face", 1, DETECTOR)
    x, y = place(picture(100, 300, (40, 120, 20, 20)))
    assert x == 0.5 and y == pytest.approx((120 - 0.4 * 20) / 200)
    assert place(picture(100, 300)) == TOP
    assert place(picture(100, 100, (70, 70, 20, 20))) == MIDDLE  # a portrait already


@pytest.mark.parametrize(("place", "rows"), [("middle", (100, 200)), ("top", (0, 100)), ("face", (192, 292))])
def test_candidates_lie_where_portraits_are_cropped(faces, tmp_path, place, rows):
    image = picture(100, 300, (40, 200, 20, 20))
    image.save(tmp_path / "1.png")
    post = {"id": "1", "path": str(tmp_path / "1.png"), "offset": None, "length": None, "score": 0}
    settings = PortraitsConfig(size=32, shards=1, crop=place, detector=DETECTOR if place == "face" else None)
    placed = placing(settings.crop, settings.ratio, settings.detector)
    [candidate] = find_candidates(post, settings, None, None, placed)
    assert np.allclose((candidate["top"] * 300, candidate["bottom"] * 300), rows)
    box = Box(*(candidate[side] for side in Box._fields))
    by_box = crop_portrait((tmp_path / "1.png").read_bytes(), box, 32, 32)
    assert by_box == crop_portrait((tmp_path / "1.png").read_bytes(), None, 32, 32, placed(image))


def test_a_face_needs_a_detector():
    with pytest.raises(ValueError, match="crop: found 'face'; accepted: middle or top, or face with a detector"):
        PortraitsConfig(size=32, shards=1, crop="face")


def test_heads_that_may_be_cut_off_are_said(caplog):
    warn_of_cut_heads([center_box(100, height, 1) for height in (100, 120, 130, 300)], "shard 3")
    assert "shard 3: of 2 of 4 images more than 10% are cut off at the top" in caplog.text
    caplog.clear()
    warn_of_cut_heads([center_box(100, height, 1) for height in (90, 120)], "shard 3")
    assert not caplog.text
