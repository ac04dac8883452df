"""Detectors of faces: the U-Net's masks, OpenCV's cascades, and YuNet."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from facemill.avatars.film_faces import MARGIN, Square, find_squares
from facemill.config.ingest import DetectorConfig
from facemill.config.swap import Detector as Kind
from facemill.errors import UserError, first_line
from facemill.inference.segmenter import Segmenter
from facemill.ingest.faces import MAX_SIDE, face_detector

LEAST_FACE = 24
"""Pixels of a face's height in the frame, at least: OpenCV's cascades were trained on faces of so many."""

MOST_FACES = 16
"""Faces of a frame that a cascade gives: those that do not pass as faces for the U-Net are many, and cost time."""

_SCORE = 0.6  # of YuNet, at least; the U-Net has the last word
_NMS = 0.3  # overlap above which two of YuNet's boxes are one face


class Detection(NamedTuple):
    """What may be a face."""

    square: Square
    """Around it, with `MARGIN`."""
    points: np.ndarray | None = None
    """Left eye, right eye and mouth in the frame, float64 (3, 2), where the detector gives them."""


Detector = Callable[[np.ndarray], list[Detection]]
"""Takes a frame, uint8 RGB (H, W, 3)."""


def load_detector(kind: Kind, file: Path | None, segmenter: Segmenter) -> Detector:
    """A detector of all faces in a frame; each may be given more than once.

    Args:
        kind: `masks`: pieces of face in the U-Net's masks; `cascade`: an OpenCV cascade; `photo`: the one of
            photographed faces that comes with OpenCV; `yunet`: Wu et al. 2023, https://doi.org/10.1007/s11633-023-1423-y
        file: the cascade's XML, or YuNet's ONNX.
        segmenter: the U-Net.

    Raises:
        UserError: There is no such file, or OpenCV cannot read it; or a file where none is wanted.
    """
    if (kind in ("cascade", "yunet")) != (file is not None):
        accepted = "a file" if file is None else "without a file"
        raise UserError(f"detector {kind}: detector_file {file or 'is missing'}; accepted: {accepted}")
    match kind:
        case "cascade":
            return _cascade(file)
        case "photo":
            return _cascade(Path(cv2.__file__).parent / "data/haarcascade_frontalface_default.xml")
        case "yunet":
            return _yunet(file)
    return lambda frame: [Detection(square) for squares in find_squares(segmenter, frame) for square in squares]


def _cascade(file: Path | None) -> Detector:
    settings = DetectorConfig(kind="cascade", cascade=file, min_face=LEAST_FACE, faces=MOST_FACES)
    try:
        faces = face_detector(settings)
    except UserError as error:
        accepted = f"a cascade that OpenCV {cv2.__version__} reads"
        raise UserError(f"detector_file: {file}: no cascade; accepted: {accepted}") from error
    return lambda frame: [Detection(_square(x, y, width, height)) for x, y, width, height in faces(frame)]


def _yunet(file: Path | None) -> Detector:
    try:
        network = cv2.FaceDetectorYN.create(str(file), "", (320, 320), _SCORE, _NMS)
    except (cv2.error, SystemError) as error:
        fault = "no such file" if file and not file.exists() else first_line(error)
        raise UserError(f"detector_file: {file}: not YuNet ({fault}); accepted: its ONNX file") from error

    def detect(frame: np.ndarray) -> list[Detection]:
        """Faces with points, the most certain first."""
        scale = min(1, MAX_SIDE / max(frame.shape[:2]))
        small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else frame
        network.setInputSize((small.shape[1], small.shape[0]))
        rows = network.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))[1]
        return [_detection(row[:14].astype(float) / scale) for row in (() if rows is None else rows)]

    return detect


def _detection(row: np.ndarray) -> Detection:
    """A row of YuNet: x, y, width and height, then the right and left eye of the person, nose, and mouth's corners."""
    points = row[4:14].reshape(5, 2)
    return Detection(_square(*row[:4]), np.array([points[0], points[1], points[3:].mean(0)]))


def _square(x: float, y: float, width: float, height: float) -> Square:
    """The square around a detector's box, which reaches from the eyebrows to the chin."""
    side = (1 + 2 * MARGIN) * max(width, height)
    return x + (width - side) / 2, y + (height - side) / 2, side
