"""Detectors: what each finds, and what is refused."""

from fractions import Fraction

import numpy as np
import pytest
from helpers.faces import faces_at, write_cascade
from helpers.painted_faces import draw, empty, points_of

from facemill.data.film import Frame
from facemill.errors import UserError
from facemill.swap import detectors
from facemill.swap.detectors import load_detector
from facemill.swap.find_faces import FaceFinder


def middle(square):
    left, top, side = square
    return left + side / 2, top + side / 2


def test_masks_show_all_faces(segmenter):
    found = load_detector("masks", None, segmenter)(draw(draw(empty(), 150, 180, 130), 480, 200, 90))
    middles = np.array([middle(detection.square) for detection in found])
    for face in ((150, 180), (480, 200)):
        assert np.abs(middles - face).max(1).min() < 20


def test_a_cascade_finds_faces_in_squares_with_room_around_them(segmenter, tmp_path):
    detect = load_detector("cascade", write_cascade(tmp_path), segmenter)
    squares = [detection.square for detection in detect(faces_at((100, 80, 96)))]
    assert any(np.allclose(middle(square), (148, 128), atol=3) and 90 < square[2] < 250 for square in squares)


def test_opencvs_own_cascade_is_there_and_finds_no_face_in_nothing(segmenter):
    assert load_detector("photo", None, segmenter)(np.full((90, 120, 3), 128, np.uint8)) == []


class Yunet:
    """Stands in for OpenCV's network: a face in the size that it was told."""

    def setInputSize(self, size):  # noqa: N802
        self.width, self.height = size

    def detect(self, pixels):
        assert pixels.shape[:2] == (self.height, self.width)
        if not pixels.any():
            return 0, None
        scale = self.width / 2048
        points = points_of(1000, 500, 400)
        five = [points[0], points[1], (1000, 540), points[2] - (30, 0), points[2] + (30, 0)]
        row = [840, 300, 320, 400, *np.ravel(five)]
        return 1, np.array([[*(scale * np.array(row)), 0.9]], np.float32)


def test_yunet_gives_points_in_pixels_of_the_frame(segmenter, tmp_path, monkeypatch):
    monkeypatch.setattr(detectors.cv2.FaceDetectorYN, "create", lambda *_: Yunet())
    detect = load_detector("yunet", tmp_path / "yunet.onnx", segmenter)
    (found,) = detect(np.full((1024, 2048, 3), 9, np.uint8))
    assert np.allclose(found.points, points_of(1000, 500, 400), atol=1e-3)
    assert np.allclose(middle(found.square), (1000, 500))
    assert detect(np.zeros((50, 50, 3), np.uint8)) == []


@pytest.mark.parametrize(
    ("kind", "file", "fault"),
    [
        ("cascade", None, "detector cascade: detector_file is missing; accepted: a file"),
        ("masks", "x.xml", "detector masks: detector_file x.xml; accepted: without a file"),
        ("cascade", "none.xml", "detector_file: none.xml: no cascade; accepted: a cascade that OpenCV"),
        ("yunet", "none.onnx", "detector_file: none.onnx: not YuNet .no such file.; accepted: its ONNX file"),
    ],
)
def test_wrong_files_are_refused(segmenter, tmp_path, monkeypatch, kind, file, fault):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=fault):
        load_detector(kind, file and tmp_path.relative_to(tmp_path) / file, segmenter)


def test_a_file_that_is_no_network_is_refused(segmenter, tmp_path):
    (tmp_path / "yunet.onnx").write_bytes(b"no network")
    with pytest.raises(UserError, match=r"not YuNet \(.*\); accepted: its ONNX file"):
        load_detector("yunet", tmp_path / "yunet.onnx", segmenter)


def test_points_of_a_detector_replace_those_of_the_mask(segmenter):
    moved = points_of(300, 180, 150) + 2.0

    def detect(frame):
        """The face, each time two pixels aside."""
        return [detectors.Detection((150.0, 20.0, 300.0), moved)] if frame.any() else []

    tracker = FaceFinder(segmenter, detect, every_frame=True).tracker(256)
    for number in range(3):
        tracker.add(Frame(number, number, Fraction(1, 12), draw(empty(), 300, 180, 150)))
    assert [np.allclose(seen.points, moved) for seen in tracker.seen] == [True] * 3
