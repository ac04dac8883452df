"""Faces in drawings and photos: OpenCV's cascade classifier with a file of the user's, or the package animeface.

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
"""Images with a longer side are searched at this size."""


def face_finder(settings: DetectorConfig) -> Callable[[np.ndarray], list[Face]]:
    """A function that finds the faces in uint8 RGB (H, W, 3), the largest first. Raises `UserError` when it cannot be
    made from the settings."""
    find = _animeface() if settings.kind == "animeface" else _cascade(settings.cascade)

    def faces(image: np.ndarray) -> list[Face]:
        scale = min(1, MAX_SIDE / max(image.shape[:2]))
        if scale < 1:
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        found = [tuple(round(value / scale) for value in face) for face in find(image, settings.min_face * scale)]
        large = [face for face in found if face[3] >= settings.min_face]
        return sorted(large, key=lambda face: (-face[2] * face[3], face))[: settings.faces]  # type: ignore[return-value]

    return faces


def _cascade(path: Path | None) -> Callable[[np.ndarray, float], list[Face]]:
    try:
        classifier = cv2.CascadeClassifier(str(path))
        usable = not classifier.empty()
    except (cv2.error, SystemError):
        usable = False
    if not usable:
        raise UserError(f"portraits.detector.cascade: {path}: accepted: a cascade that OpenCV {cv2.__version__} reads")

    def find(image: np.ndarray, least: float) -> list[Face]:
        gray = cv2.equalizeHist(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
        least = max(round(least), 1)
        return [tuple(map(int, box)) for box in classifier.detectMultiScale(gray, 1.1, 5, minSize=(least, least))]

    return find


def _animeface() -> Callable[[np.ndarray, float], list[Face]]:
    try:
        animeface = importlib.import_module("animeface")
    except ImportError as error:
        raise UserError(
            f"portraits.detector.kind: animeface cannot be imported ({error}); pip install animeface"
        ) from error
    if int(PIL.__version__.split(".")[0]) >= 12:  # it reads Pillow's memory, whose form changed, and finds nothing
        raise UserError(
            f"portraits.detector.kind: animeface needs Pillow below 12, found {PIL.__version__}; or `cascade`"
        )

    def find(image: np.ndarray, least: float) -> list[Face]:
        places = [found.face.pos for found in animeface.detect(Image.fromarray(image))]
        return [(place.x, place.y, place.width, place.height) for place in places]

    return find
