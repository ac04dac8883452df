"""Where portraits lie in images of another aspect: in the middle, at the top, or at the face."""

from collections.abc import Callable, Sequence
from threading import Lock

import numpy as np
from PIL import Image

from facemill.config.ingest import CropPlace, DetectorConfig
from facemill.ingest.faces import Face, face_detector
from facemill.ingest.portraits import MIDDLE, TOP, Box, Centering, Finder, face_box
from facemill.log import log

MAX_CUT = 0.1
"""The share of an image's height, cut off at the top, above which heads may be cut off."""

Placing = Callable[[Image.Image], Centering]
"""Finds the place of a portrait in an upright image."""


def placing(place: CropPlace, ratio: float, detector: DetectorConfig | None = None) -> Placing:
    """A function, for threads too, that finds the place of the largest box of a height:width ratio in an image.

    With `face` it is centered on the largest face and begins the detector's margin above it; in images without a face
    it lies at the top. Raises `UserError` when the detector cannot be loaded.
    """
    if place != "face" or detector is None:
        return lambda _: TOP if place == "top" else MIDDLE
    detect, margin, lock = face_detector(detector), detector.margin, Lock()

    def at_face(picture: Image.Image) -> Centering:
        """At the largest face, or in the middle without any."""
        if abs(picture.height - picture.width * ratio) < 1:  # the whole image
            return MIDDLE
        with lock:  # OpenCV's classifiers work for one thread at a time
            faces = detect(np.asarray(picture))
        return face_centering(faces[0], *picture.size, ratio, margin) if faces else TOP

    return at_face


def portrait_finder(place: CropPlace, ratio: float, detector: DetectorConfig | None = None) -> Finder:
    """A function that finds the part of an upright image that is a portrait of a collection with these settings.

    It lies around the largest face where portraits do, or else, and in images without a face, where `placing` says.
    Raises `UserError` when the detector cannot be loaded.
    """
    find_place, margin = placing(place, ratio, detector), detector.margin if detector else 0
    detect = face_detector(detector) if detector and place != "face" else None

    def find(picture: Image.Image) -> tuple[Box | None, Centering]:
        """The box at the largest face, or None and where the crop lies."""
        faces = detect(np.asarray(picture)) if detect else []
        if faces:
            return face_box(faces[0], *picture.size, ratio, margin), MIDDLE
        return None, find_place(picture)

    return find


def face_centering(face: Face, width: int, height: int, ratio: float, margin: float) -> Centering:
    """The place of the largest box of a height:width ratio that is centered on a face and begins above it.

    Args:
        face: x and y of the upper left corner, width and height, in pixels.
        width: of the image, in pixels.
        height: of the image, in pixels.
        ratio: of the box, height : width.
        margin: between the face and the upper side, as a share of the face's height.
    """
    x, y, w, h = face
    box_width = min(width, height / ratio)
    free_x, free_y = width - box_width, height - box_width * ratio
    left, top = x + w / 2 - box_width / 2, y - margin * h
    return min(max(left / free_x, 0), 1) if free_x else 0.5, min(max(top / free_y, 0), 1) if free_y else 0.5


def warn_of_cut_heads(boxes: Sequence[Box], what: str) -> None:
    """Says in the log in how many images the middle may lack the head."""
    if cut := sum(box.top > MAX_CUT for box in boxes):
        log.warning(
            "%s: of %d of %d images more than %.0f%% are cut off at the top, where heads are; "
            "`portraits.crop: top` or `face`, or `portraits.ratio`, keeps them",
            what,
            cut,
            len(boxes),
            100 * MAX_CUT,
        )
