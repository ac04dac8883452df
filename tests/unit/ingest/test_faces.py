from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.faces import faces_at, write_cascade

from facemill.config.ingest import DetectorConfig, PortraitsConfig
from facemill.data.shards import encode_jpeg
from facemill.errors import UserError
from facemill.ingest.faces import face_detector
from facemill.ingest.find_portraits import find_candidates
from facemill.ingest.portraits import Unreadable


@pytest.fixture
def cascade(tmp_path: Path) -> Path:
    return write_cascade(tmp_path)


def test_faces_are_found_the_largest_first(cascade: Path):
    detect = face_detector(DetectorConfig(kind="cascade", cascade=cascade, min_face=40))
    (x, y, w, h), *others = detect(faces_at((40, 60, 80), (250, 100, 120)))
    assert abs(x + w / 2 - 310) < 20 and abs(y + h / 2 - 160) < 20 and 60 < h < 150
    assert any(abs(x + w / 2 - 80) < 20 and abs(y + h / 2 - 100) < 20 for x, y, w, h in others)
    assert detect(faces_at()) == []
    detect = face_detector(DetectorConfig(kind="cascade", cascade=cascade, min_face=40, faces=1))
    assert len(detect(faces_at((40, 60, 80), (250, 100, 120)))) == 1


def test_a_large_image_is_shrunk_for_detection(cascade: Path):
    detect = face_detector(DetectorConfig(kind="cascade", cascade=cascade, min_face=300))
    ((x, y, w, h), *_) = detect(faces_at((500, 600, 900), width=2400, height=3000))
    assert abs(x + w / 2 - 950) < 150 and abs(y + h / 2 - 1050) < 150 and 450 < h < 1100


def test_several_faces_give_several_candidates_and_none_rejects(tmp_path: Path, cascade: Path):
    settings = PortraitsConfig(
        size=128, shards=1, detector=DetectorConfig(kind="cascade", cascade=cascade, min_face=40)
    )
    detect = face_detector(settings.detector)

    def candidates(pixels: np.ndarray) -> list[dict]:
        (tmp_path / "7.jpg").write_bytes(encode_jpeg(pixels))
        post = {"id": "7", "path": str(tmp_path / "7.jpg"), "offset": None, "length": None, "score": 3}
        return find_candidates(post, settings, detect)

    rows = candidates(faces_at((40, 60, 80), (250, 100, 120)))
    assert [row["id"] for row in rows] == ["7", *(f"7#{n}" for n in range(2, len(rows) + 1))] and len(rows) >= 2
    assert {row["post"] for row in rows} == {"7"} and rows[0]["pixels"] >= rows[1]["pixels"]
    assert rows[0]["left"] < 310 / 400 < rows[0]["right"] and rows[0]["top"] < 160 / 300 < rows[0]["bottom"]
    with pytest.raises(Unreadable, match="no face"):
        candidates(faces_at())


@pytest.mark.parametrize("content", ["", "no cascade", "<opencv_storage><a>1</a></opencv_storage>"])
def test_another_file_is_no_cascade(tmp_path: Path, content: str):
    (tmp_path / "c.xml").write_text(content)
    with pytest.raises(UserError, match="portraits.detector.cascade: .*c.xml: accepted: a cascade that OpenCV"):
        face_detector(DetectorConfig(kind="cascade", cascade=tmp_path / "c.xml"))


def test_animeface_says_what_it_lacks():
    with pytest.raises(UserError, match="portraits.detector.kind: animeface "):
        face_detector(DetectorConfig(kind="animeface"))


def test_opencv_s_own_face_file_is_read():
    path = Path(cv2.data.haarcascades, "haarcascade_frontalface_default.xml")
    assert face_detector(DetectorConfig(kind="cascade", cascade=path))(faces_at()) == []
