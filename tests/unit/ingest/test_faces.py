from pathlib import Path

import cv2
import numpy as np
import pytest

from facemill.config.ingest import DetectorConfig, PortraitsConfig
from facemill.data.shards import encode_jpeg
from facemill.errors import UserError
from facemill.ingest.faces import face_detector
from facemill.ingest.find_portraits import find_candidates
from facemill.ingest.portraits import Unreadable

# A cascade of one stage and one feature: the upper half of a window is much darker than the lower.
CASCADE = """<?xml version="1.0"?>
<opencv_storage><cascade type_id="opencv-cascade-classifier">
<stageType>BOOST</stageType><featureType>HAAR</featureType><height>24</height><width>24</width>
<stageParams><maxWeakCount>1</maxWeakCount></stageParams>
<featureParams><maxCatCount>0</maxCatCount></featureParams>
<stageNum>1</stageNum>
<stages><_><maxWeakCount>1</maxWeakCount><stageThreshold>0.5</stageThreshold>
<weakClassifiers><_>
<internalNodes>0 -1 0 0.9</internalNodes><leafValues>-1. 1.</leafValues></_>
</weakClassifiers></_></stages>
<features><_><rects><_>0 0 24 24 -1.</_><_>0 12 24 12 2.</_></rects><tilted>0</tilted></_></features>
</cascade></opencv_storage>"""


@pytest.fixture
def cascade(tmp_path: Path) -> Path:
    (tmp_path / "cascade.xml").write_text(CASCADE)
    return tmp_path / "cascade.xml"


def image(*heads: tuple[int, int, int], width: int = 400, height: int = 300) -> np.ndarray:
    """Gray, with squares that are black above and white below: x, y, size."""
    pixels = np.full((height, width, 3), 128, np.uint8)
    for x, y, size in heads:
        pixels[y : y + size // 2, x : x + size] = 0
        pixels[y + size // 2 : y + size, x : x + size] = 255
    return pixels


def test_faces_are_found_the_largest_first(cascade: Path):
    detect = face_detector(DetectorConfig(kind="cascade", cascade=cascade, min_face=40))
    (x, y, w, h), *others = detect(image((40, 60, 80), (250, 100, 120)))
    assert abs(x + w / 2 - 310) < 20 and abs(y + h / 2 - 160) < 20 and 60 < h < 150
    assert any(abs(x + w / 2 - 80) < 20 and abs(y + h / 2 - 100) < 20 for x, y, w, h in others)
    assert detect(image()) == []
    detect = face_detector(DetectorConfig(kind="cascade", cascade=cascade, min_face=40, faces=1))
    assert len(detect(image((40, 60, 80), (250, 100, 120)))) == 1


def test_a_large_image_is_shrunk_for_detection(cascade: Path):
    detect = face_detector(DetectorConfig(kind="cascade", cascade=cascade, min_face=300))
    ((x, y, w, h), *_) = detect(image((500, 600, 900), width=2400, height=3000))
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

    rows = candidates(image((40, 60, 80), (250, 100, 120)))
    assert [row["id"] for row in rows] == ["7", *(f"7#{n}" for n in range(2, len(rows) + 1))] and len(rows) >= 2
    assert {row["post"] for row in rows} == {"7"} and rows[0]["pixels"] >= rows[1]["pixels"]
    assert rows[0]["left"] < 310 / 400 < rows[0]["right"] and rows[0]["top"] < 160 / 300 < rows[0]["bottom"]
    with pytest.raises(Unreadable, match="no face"):
        candidates(image())


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
    assert face_detector(DetectorConfig(kind="cascade", cascade=path))(image()) == []
