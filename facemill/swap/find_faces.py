"""The faces of a film or of photos: found, followed, aligned, cut out, and judged."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Self

import cv2
import numpy as np

from facemill.avatars.film_faces import SIZE, FaceFollower, Square
from facemill.config.swap import Detector as Kind
from facemill.data.classes import SEVEN
from facemill.data.film import Frame
from facemill.data.shards import decode_mask
from facemill.errors import UserError
from facemill.inference.segmenter import Segmenter
from facemill.log import log
from facemill.networks.face_swap import Side
from facemill.swap.alignment import crop, crop_side, jitter, similarity, smooth, steady_parts
from facemill.swap.detectors import Detector, load_detector
from facemill.swap.faces import FACE, Face, row_of
from facemill.swap.persons import Look, look_of, person_of
from facemill.swap.pictures import are_photos, read_pictures
from facemill.swap.rejects import distances, frame_rows, reasons
from facemill.swap.tracks import Seen, Tracker, to_square

__all__ = ["FaceFinder", "find_faces", "look_of_photo", "read_pictures"]

_FINER = 4
"""Side of the square's mask over the network's: the crop covers half of it, and is twice as fine."""

_COVER = 1.01  # side of a square over that of the crop's box that it covers


@dataclass(frozen=True)
class FaceFinder:
    """A U-Net and a detector of faces."""

    segmenter: Segmenter
    detector: Detector
    every_frame: bool
    """Whether the detector gives points, and is asked in every frame."""

    @classmethod
    def load(cls, unet: Path, detector: Kind = "masks", detector_file: Path | None = None) -> Self:
        """A finder; raises `UserError` when a file cannot be read, as `load_detector`.

        Args:
            unet: a safetensors file, or the folder that holds it.
            detector: what finds faces.
            detector_file: of a cascade, or of YuNet.
        """
        segmenter = Segmenter.load(unet)
        return cls(segmenter, load_detector(detector, detector_file, segmenter), detector == "yunet")

    def tracker(self, size: int, *, are_photos: bool = False) -> Tracker:
        """A tracker for one film, or for photos, whose masks have a side of `size` pixels."""
        return Tracker(self.segmenter, self.detector, size, every_frame=self.every_frame, are_photos=are_photos)


def find_faces(
    film: Path, finder: FaceFinder, *, side: Side, size: int, like: Look | None = None
) -> tuple[list[dict], list[dict]]:
    """All faces of a film, of a folder of frames or photos, or of a photo, with the reasons why some are not used.

    The film is read twice: first for where the faces are, which is smoothed over time, then for their crops. Photos
    stand for themselves: each face of one is a track of its own, and is not smoothed.

    Args:
        film: what to read; which folders are of photos, `are_photos` says.
        finder: finds the faces.
        side: begins the faces' ids.
        size: of the faces in the network; crops are twice as large.
        like: how the person looks that is wanted; None for the one that is seen most.

    Returns:
        The rows of the tables of faces, by frame, and of frames; nothing is held out.

    Raises:
        UserError: as `read_pictures`.
    """
    stand_alone, frames = are_photos(film), []
    tracker = finder.tracker(max(SIZE, _FINER * size), are_photos=stand_alone)
    for frame in read_pictures(film):
        tracker.add(frame)
        frames.append((frame.number, frame.pts, frame.time))
    rows, looks = _cut_out(film, finder, _smoothed(tracker.seen), side, size)
    wanted = person_of(rows, looks, like, tracker.cuts, are_photos=stand_alone)
    away = distances(rows, wanted)
    rows = [row | {"distance": distance} for row, distance in zip(rows, away, strict=True)]
    why = reasons(rows, wanted, size)
    rows = [row | {"rejected": reason} for row, reason in zip(rows, why, strict=True)]
    return rows, frame_rows(frames, rows)


def look_of_photo(photo: Path, finder: FaceFinder) -> Look:
    """How the largest face of a photo looks. Raises `UserError` when it cannot be read, or has no face."""
    tracker = finder.tracker(SIZE)
    for frame in read_pictures(photo):
        tracker.add(frame)
    if not tracker.seen:
        raise UserError(f"{photo}: no face is found in it; accepted: a photo of the person's face")
    largest = max(tracker.seen, key=lambda seen: seen.square[2])
    return _cut_out(photo, finder, [largest], "a", SIZE // 2)[1][0]


def _smoothed(seen: Sequence[Seen]) -> list[Seen]:
    """Faces by frame with their points smoothed over time, within each unbroken track; logs how much they tremble."""
    smoothed, trembling = [], []
    for _, group in groupby(sorted(seen, key=lambda face: (face.track, face.frame)), lambda face: face.track):
        track = list(group)
        points = np.stack([face.points for face in track])
        after = smooth(points)
        smoothed += [replace(face, points=place) for face, place in zip(track, after, strict=True)]
        scale = 256 * float(np.mean([1 / crop_side(similarity(place)) for place in points]))
        parts = [part for part in steady_parts(points) if part.stop - part.start > 2]
        trembling += [
            [jitter(p[part], scale) for p in (points, after)] + [part.stop - part.start - 2] for part in parts
        ]
    if trembling:
        *rms, frames = np.array(trembling).T
        values = [np.sqrt(np.average(each**2, weights=frames)) for each in rms]
        log.info("points tremble by %.2f pixels of a crop of 256, smoothed by %.2f", *values)
    return sorted(smoothed, key=lambda face: (face.frame, face.box[0], face.track))


def _cut_out(
    film: Path, finder: FaceFinder, seen: Sequence[Seen], side: Side, size: int
) -> tuple[list[dict], list[Look]]:
    """The rows of faces, neither judged nor measured against each other, and how they look."""
    rows, looks = [], []
    by_frame = {number: list(faces) for number, faces in groupby(seen, lambda face: face.frame)}
    for frame in read_pictures(film, quiet=True):
        for number, face_seen in enumerate(by_frame.get(frame.number, ())):
            face = _face(frame, face_seen, number, finder.segmenter, side, 2 * size)
            rows.append(row_of(face))
            looks.append(look_of(face.image, face.mask))
    return rows, looks


def _face(frame: Frame, seen: Seen, number: int, segmenter: Segmenter, side: Side, size: int) -> Face:
    matrix = similarity(seen.points)
    image = crop(frame.pixels, matrix, size)
    mask = _crop_mask(frame, seen, matrix, segmenter, size)
    return Face(
        id=f"{side}-{frame.number:06}-{number}",
        frame=frame.number,
        face=number,
        track=seen.track,
        pts=frame.pts,
        time=frame.time,
        box=seen.box,
        points=seen.points.astype(np.float32),
        matrix=matrix,
        confidence=seen.confidence,
        sharpness=_sharpness(image, mask),
        distance=0.0,
        roll=float(-np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0]))),
        image=image,
        mask=mask,
    )


def _crop_mask(frame: Frame, seen: Seen, matrix: np.ndarray, segmenter: Segmenter, size: int) -> np.ndarray:
    """The crop's mask: of the square in which the face was followed, or of one that covers the crop."""
    corners = cv2.transform(np.array([[(0, 0), (1, 0), (1, 1), (0, 1)]], np.float64), cv2.invertAffineTransform(matrix))
    start, end = corners[0].min(0) + 0.5, corners[0].max(0) + 0.5
    left, top, side = seen.square
    if (start >= (left, top)).all() and (end <= (left + side, top + side)).all():
        mask, square = decode_mask(seen.mask, SEVEN), seen.square
    else:
        square = _square_over(start, end)
        mask = FaceFollower(segmenter, max(SIZE, 2 * size)).look(frame.pixels, square).mask
    to_frame = np.vstack([cv2.invertAffineTransform(to_square(square, len(mask))), (0, 0, 1)])
    return crop(mask, matrix @ to_frame, size, nearest=True)


def _square_over(start: np.ndarray, end: np.ndarray) -> Square:
    """A square in whole pixels that covers the box between two corners, float64 (2,)."""
    side = int(np.ceil((end - start).max() * _COVER)) + 1
    left, top = np.floor((start + end - side) / 2).astype(int).tolist()
    return left, top, side


def _sharpness(image: np.ndarray, mask: np.ndarray) -> float:
    face = np.isin(mask, FACE)
    lightness = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(lightness, cv2.CV_32F)[face].var()) if face.any() else 0.0
