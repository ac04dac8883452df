"""All faces of a film, each followed from frame to frame."""

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from facemill.avatars.film_faces import (
    DOUBTED,
    FOLLOWED,
    MARGIN,
    NEW,
    Face,
    FaceFollower,
    Square,
    face_pieces,
    next_square,
    square_around,
)
from facemill.data.classes import SEVEN
from facemill.data.film import Frame
from facemill.data.shards import encode_mask
from facemill.inference.segmenter import Segmenter
from facemill.swap.detectors import Detection, Detector
from facemill.swap.points import GUESSED, Points, locate

SEARCHED = 6
"""Frames from one search for further faces to the next, while those that are known are followed. A face that a search
finds is followed backward, too, so that none is late."""

BLINKING = replace(NEW, eyes=0, height=(0, 1))
"""Of a face that was there in the frame before: shut eyes are skin in many a mask. The mouth tells that it is one."""

OVERLAP = 0.3
"""Intersection over union of a face's boxes in neighboring frames, at least: half a face's width aside."""

_CUT_CHANGE, _CUT_COLORS = 12, 0.25
"""Mean change of 255, of the frame in 16 x 16, and share of the pixels that change their color (8 levels a channel),
both at least, where a film cuts. Between photos of two people they are 33 and .31 or more; within films a nod is 25
and .04, a turn 17 and .11."""


@dataclass(frozen=True)
class Seen:
    """A face in a frame, as its mask shows it."""

    frame: int
    track: int
    box: np.ndarray
    """Left, top, right and bottom in the frame, float32 (4,)."""
    points: np.ndarray
    """Left eye, right eye and mouth in the frame, float64 (3, 2)."""
    is_complete: bool
    """Whether none of the points is guessed."""
    confidence: float
    square: Square
    """Where the mask lies in the frame, in whole pixels."""
    mask: bytes
    """PNG of the square's ids of `SEVEN`."""


@dataclass
class _Track:
    number: int
    square: Square
    box: np.ndarray
    doubts: int = 0
    shape: np.ndarray | None = None
    """Its points in the last frame in which all of them were seen, moved with the box since then."""


class Tracker:
    """Finds the faces of a film and follows them; for its frames in their order.

    Each face is followed as `FaceFollower` follows one. A cut ends all tracks, as does each photo, and a jump of a face
    ends its own.

    Attributes:
        frames: of the film so far.
        cuts: numbers of the frames that follow a cut.
    """

    def __init__(
        self, segmenter: Segmenter, detector: Detector, size: int, *, every_frame: bool, are_photos: bool = False
    ) -> None:
        """A tracker.

        Args:
            segmenter: the U-Net.
            detector: finds faces.
            size: side of the masks, in pixels.
            every_frame: whether it looks for faces in every frame, since it gives their points.
            are_photos: whether each frame is a photo, which stands for itself.
        """
        self._look = FaceFollower(segmenter, size).look
        self._detector, self._searched = detector, 1 if every_frame else SEARCHED
        self._are_photos = are_photos
        self._tracks: list[_Track] = []
        self._seen: dict[int, list[Seen]] = defaultdict(list)
        self._recent: deque[Frame] = deque(maxlen=SEARCHED)
        self._since, self._count = 0, 0
        self.frames = 0
        self.cuts: list[int] = []

    @property
    def seen(self) -> list[Seen]:
        """The faces so far, by frame, and in one from left to right."""
        ordered = sorted(self._seen.items())
        return [seen for _, faces in ordered for seen in sorted(faces, key=lambda face: (face.box[0], face.track))]

    def add(self, frame: Frame) -> None:
        """Finds the faces of the next frame."""
        self.frames += 1
        if self._recent and (self._are_photos or is_cut(self._recent[-1].pixels, frame.pixels)):
            self.cuts.append(frame.number)
            self._tracks = []
            self._recent.clear()
        followed = [track for track in self._tracks if self._follow(track, frame)]
        is_lost = len(followed) < len(self._tracks)
        self._tracks = followed
        self._since += 1
        if is_lost or not followed or self._since >= self._searched:
            self._search(frame)
            self._since = 0
        self._recent.append(frame)

    def _search(self, frame: Frame) -> None:
        detections = self._detector(frame.pixels)
        for detection in detections:
            for track in self._found(detection, frame):
                if self._follow(track, frame):
                    self._tracks.append(track)
                    self._count += 1
                    self._follow_backward(track)
        given = [(_face_box(found.square), found.points) for found in detections if found.points is not None]
        faces = self._seen[frame.number]
        for index, seen in enumerate(faces):
            points = next((points for box, points in given if overlap(box, seen.box) >= OVERLAP), None)
            if points is not None:
                faces[index] = replace(seen, points=points, is_complete=True)

    def _found(self, detection: Detection, frame: Frame) -> Iterator[_Track]:
        """Yields a track for each face in a detection's square that is not followed yet."""
        if self._is_taken(_face_box(detection.square), frame):
            return
        face = self._look(frame.pixels, _whole(detection.square))
        for piece in face_pieces(face.mask, NEW.share * face.mask.size):
            box = _box_in_frame(piece, face)
            if not self._is_taken(box, frame) and (around := square_around(face, NEW, piece)):
                yield _Track(self._count, around, box)

    def _follow_backward(self, track: _Track) -> None:
        """Follows a new face into the frames before, in which nobody looked for it."""
        earlier = replace(track, doubts=0)
        for frame in reversed(self._recent):
            if not self._follow(earlier, frame):
                return

    def _follow(self, track: _Track, frame: Frame) -> bool:
        """Notes a track's face in a frame, and whether it is there."""
        face = self._look(frame.pixels, _whole(track.square))
        piece = _piece_at(face, track.box)
        if piece is None:
            return False
        box, shut = _box_in_frame(piece, face), square_around(face, BLINKING, piece)
        around = square_around(face, FOLLOWED, piece) or shut
        if not around or overlap(box, track.box) < OVERLAP or self._is_taken(box, frame):
            return False
        if track.shape is not None:
            track.shape = track.shape + (box - track.box).reshape(2, 2).mean(0)
        points = locate(face.mask, piece, None if track.shape is None else _in_mask(track.shape, face))
        is_sure = square_around(face, NEW, piece) or (shut and points and points.seen[2])
        track.doubts = 0 if is_sure else track.doubts + 1
        if points is None or track.doubts >= DOUBTED:
            return False
        track.square, track.box = next_square(track.square, around), box
        seen = _seen(frame, track.number, face, box, points)
        if seen.is_complete:
            track.shape = seen.points
        self._seen[frame.number].append(seen)
        return True

    def _is_taken(self, box: np.ndarray, frame: Frame) -> bool:
        return any(overlap(box, seen.box) >= OVERLAP for seen in self._seen[frame.number])


def is_cut(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether a film cuts between two frames, uint8 RGB (H, W, 3): other pixels and other colors, or another size."""
    if before.shape != after.shape:
        return True
    small = [cv2.resize(p, (64, 64), interpolation=cv2.INTER_AREA) for p in (before, after)]
    colors = [cv2.calcHist([p], [0, 1, 2], None, [8] * 3, [0, 256] * 3) / 64**2 for p in small]
    coarse = [cv2.resize(p, (16, 16), interpolation=cv2.INTER_AREA).astype(np.int16) for p in small]
    change = np.abs(coarse[1] - coarse[0]).mean()
    return bool(change >= _CUT_CHANGE and np.abs(colors[1] - colors[0]).sum() / 2 >= _CUT_COLORS)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes: left, top, right, bottom."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = float(np.prod(sides.clip(0)))
    return shared / (float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - shared)


def to_square(square: Square, size: int) -> np.ndarray:
    """The matrix from frame coordinates to those of the square's mask of a size, float64 (2, 3)."""
    left, top, side = square
    scale = size / side
    return np.array([(scale, 0, (0.5 - left) * scale - 0.5), (0, scale, (0.5 - top) * scale - 0.5)])


def _seen(frame: Frame, track: int, face: Face, box: np.ndarray, points: Points) -> Seen:
    left, top, side = face.square
    places = (points.places + 0.5) * side / len(face.mask) + (left, top) - 0.5
    confidence = face.confidence * GUESSED ** int(np.count_nonzero(~points.seen))
    mask = encode_mask(face.mask, SEVEN)
    return Seen(frame.number, track, box, places, bool(points.seen.all()), confidence, face.square, mask)


def _in_mask(points: np.ndarray, face: Face) -> np.ndarray:
    return cv2.transform(points[None], to_square(face.square, len(face.mask)))[0]


def _piece_at(face: Face, box: np.ndarray) -> np.ndarray | None:
    """The piece of face in a square's mask that has most pixels in a box of the frame; None where none has any."""
    x0, y0, x1, y1 = _in_mask((box.reshape(2, 2) - 0.5).astype(np.float64), face).round().astype(int).clip(0).ravel()
    pieces = face_pieces(face.mask, FOLLOWED.share * face.mask.size)
    inside = [(np.count_nonzero(piece[y0 : y1 + 1, x0 : x1 + 1]), piece) for piece in pieces]
    most, piece = max(inside, key=lambda item: item[0], default=(0, None))
    return piece if most else None


def _box_in_frame(piece: np.ndarray, face: Face) -> np.ndarray:
    x, y, width, height = cv2.boundingRect(piece)
    left, top, side = face.square
    return (np.array([x, y, x + width, y + height]) * side / len(piece) + (left, top, left, top)).astype(np.float32)


def _face_box(square: Square) -> np.ndarray:
    """The face in the square around it."""
    left, top, side = square
    margin = side * MARGIN / (1 + 2 * MARGIN)
    return np.array([left + margin, top + margin, left + side - margin, top + side - margin])


def _whole(square: Square) -> Square:
    """The square in whole pixels, as it is cut."""
    left, top, side = (round(value) for value in square)
    return left, top, max(side, 1)
