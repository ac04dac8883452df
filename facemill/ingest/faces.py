"""Face detectors for drawings and photos: OpenCV's cascade classifier with a user's file, or the package animeface.

https://github.com/nagadomi/lbpcascade_animeface, https://github.com/nagadomi/animeface-python
"""

import importlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import PIL
from PIL import Image

from facemill.config.ingest import DetectorConfig
from facemill.errors import UserError

Face = tuple[int, int, int, int]
"""x and y of the upper left corner, width and height, in pixels."""

MAX_SIDE = 1024
"""Images with a longer side are shrunk to this size for detection."""


def face_detector(settings: DetectorConfig) -> Callable[[np.ndarray], list[Face]]:
    """A function that detects the faces in uint8 RGB (H, W, 3), the largest first.

    Raises `UserError` when the detector cannot be loaded.
    """
    detect = _animeface() if settings.kind == "animeface" else _cascade(settings.cascade)

    def faces(image: np.ndarray) -> list[Face]:
        """Faces of an image of any size."""
        scale = min(1, MAX_SIDE / max(image.shape[:2]))
        if scale < 1:
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        boxes = detect(image, settings.min_face * scale)
        boxes = [(round(x / scale), round(y / scale), round(w / scale), round(h / scale)) for x, y, w, h in boxes]
        boxes = [box for box in boxes if box[3] >= settings.min_face]
        return sorted(boxes, key=lambda box: (-box[2] * box[3], box))[: settings.faces]

    return faces


def _cascade(path: Path | None) -> Callable[[np.ndarray, float], list[Face]]:
    try:
        classifier = cv2.CascadeClassifier(str(path))
        usable = not classifier.empty()
    except (cv2.error, SystemError):
        usable = False
    if not usable:
        raise UserError(f"portraits.detector.cascade: {path}: accepted: a cascade that OpenCV {cv2.__version__} reads")

    def detect(image: np.ndarray, min_size: float) -> list[Face]:
        """Faces of `min_size` pixels or more."""
        gray = cv2.equalizeHist(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
        side = max(round(min_size), 1)
        boxes = classifier.detectMultiScale(gray, 1.1, 5, minSize=(side, side))
        return [(int(x), int(y), int(w), int(h)) for x, y, w, h in boxes]

    return detect


def _animeface() -> Callable[[np.ndarray, float], list[Face]]:
    try:
        animeface = importlib.import_module("animeface")
    except ImportError as error:
        raise UserError(
            f"portraits.detector.kind: animeface cannot be imported ({error}); pip install animeface"
        ) from error
    if int(PIL.__version__.split(".")[0]) >= 12:  # it reads Pillow's memory, whose form changed, and detects nothing
        raise UserError(
            f"portraits.detector.kind: animeface needs Pillow below 12, found {PIL.__version__}; or `cascade`"
        )

    def detect(image: np.ndarray, min_size: float) -> list[Face]:
        boxes = [detection.face.pos for detection in animeface.detect(Image.fromarray(image))]
        return [(box.x, box.y, box.width, box.height) for box in boxes]

    return detect
