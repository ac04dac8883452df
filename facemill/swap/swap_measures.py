"""Figures of exchanged faces, from pixels, masks and points; no network runs here."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import cv2
import numpy as np

from facemill.data.classes import IGNORE, SEVEN, Role
from facemill.imaging.colors import difference, region_colors
from facemill.swap.alignment import Box, crop_side, jitter, steady_parts
from facemill.swap.faces import FACE, Face
from facemill.swap.identity import inner_face
from facemill.translate.flicker import Flicker

Figures = dict[str, Any]

PARTS: tuple[Role, ...] = ("eye", "mouth")
"""Where an expression is seen."""

JITTER_SIDE = 256
"""Side of the crop, in pixels, in which jitter is measured."""

_SKIN = SEVEN.role_ids("face")


def mean_and_deviation(values: Sequence[float] | np.ndarray) -> Figures:
    """`mean` and `sd` (standard deviation over frames) of the values that are numbers; None without any."""
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    return {"mean": float(known.mean()), "sd": float(known.std())} if len(known) else {"mean": None, "sd": None}


def shrunk(mask: np.ndarray, size: int) -> np.ndarray:
    """Ids, uint8 (S, S), at another side; the nearest pixel counts."""
    return cv2.resize(mask, (size, size), interpolation=cv2.INTER_NEAREST)


def face_error(drawn: np.ndarray, real: np.ndarray, mask: np.ndarray) -> float:
    """The mean absolute difference of two crops, uint8 RGB (S, S, 3), in the face, of 255; NaN where there is none.

    Args:
        drawn: what a decoder drew.
        real: what there should be.
        mask: ids of `SEVEN`, uint8, of any side.
    """
    inside = np.isin(shrunk(mask, len(real)), FACE)
    return float(np.abs(drawn.astype(np.int16) - real)[inside].mean()) if inside.any() else np.nan


def part_errors(drawn: np.ndarray, true: np.ndarray, mask: np.ndarray) -> list[float]:
    """The mean absolute difference of two crops in the box of each of `PARTS`, of 255; NaN where there is none.

    Args:
        drawn: RGB (S, S, 3) in 0 to 255.
        true: what there should be, uint8.
        mask: its classes, ids of `SEVEN`, uint8 (S, S).
    """
    errors = []
    for role in PARTS:
        rows, columns = np.nonzero(np.isin(mask, SEVEN.role_ids(role)))
        box = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] if len(rows) else np.s_[:0]
        apart = np.abs(drawn[box].astype(np.float32) - true[box])
        errors.append(float(apart.mean()) if apart.size else np.nan)
    return errors


def truth_figures(drawn: np.ndarray, mean_face: np.ndarray) -> Figures:
    """How near expressions come to the true ones: 0 is perfect, 1 is what the mean face of the person does.

    Args:
        drawn: `part_errors` of what was drawn, float (N, 2).
        mean_face: those of the mean face in its place.

    Returns:
        `ratio` of the sums of both errors, each part counting the same; `sd` of the frames' ratios; by part `ratio`,
        and `l1`, `mean_face_l1` in 0 to 255.
    """
    known = np.isfinite(drawn).all(1) & np.isfinite(mean_face).all(1)
    if not known.any():
        return {"ratio": None, "sd": None}
    drawn, mean_face = drawn[known], mean_face[known]
    own, other = drawn.mean(0), mean_face.mean(0)
    of_frames = (drawn / np.maximum(other, 1e-6)).mean(1)
    parts: Figures = {
        role: {"ratio": float(x / max(y, 1e-6)), "l1": float(x), "mean_face_l1": float(y)}
        for role, x, y in zip(PARTS, own, other, strict=True)
    }
    return {"ratio": float(of_frames.mean()), "sd": float(of_frames.std()), **parts}


def seam(before: np.ndarray, after: np.ndarray, alpha: np.ndarray, box: Box) -> tuple[float, float]:
    """The mean change of lightness across the border of an exchanged face, in a ring of 3 pixels.

    Args:
        before: the frame, uint8 RGB (H, W, 3).
        after: the same with another face.
        alpha: how much of that is seen in the box, float32 (h, w).
        box: of the frame.

    Returns:
        Of both frames, in levels of 255 a pixel; NaN where no face was put in.
    """
    seen = (alpha > 0.5).astype(np.uint8)
    kernel = np.ones((3, 3), np.uint8)
    ring = cv2.dilate(seen, kernel) > cv2.erode(seen, kernel, iterations=2)
    if not ring.any():
        return np.nan, np.nan
    down, across = np.gradient(cv2.GaussianBlur(alpha, (0, 0), 2))
    length = np.maximum(np.hypot(across, down), 1e-6)
    x0, y0, x1, y1 = box
    changes = []
    for frame in (before, after):
        y, x = np.gradient(cv2.cvtColor(frame[y0:y1, x0:x1], cv2.COLOR_RGB2GRAY).astype(np.float32))
        changes.append(float(np.abs((x * across + y * down) / length)[ring].mean()))
    return changes[0], changes[1]


def seam_figures(changes: np.ndarray) -> Figures:
    """Of `seam`, float (N, 2): the mean `ratio` after and before, and the `sd` of the frames' ratios."""
    ratios = changes[:, 1] / np.maximum(changes[:, 0], 1e-6)
    of_frames = mean_and_deviation(ratios)
    return {"ratio": of_frames["mean"], "sd": of_frames["sd"]}


def color_difference(before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> float:
    """CIEDE2000 between the median colors of two faces; NaN of a few pixels.

    Args:
        before: a crop of the frame, uint8 RGB (S, S, 3).
        after: the same with another face.
        mask: ids of `SEVEN`, uint8 (S, S).
    """
    skin = np.where(np.isin(mask, _SKIN), mask, np.uint8(IGNORE))
    first, second = (region_colors(crop, skin, SEVEN)["skin"] for crop in (before, after))
    return np.nan if first is None or second is None else difference(first, second)


def jitter_figure(faces: Sequence[Face]) -> float | None:
    """How much the points of faces jitter over time, in pixels of a crop of `JITTER_SIDE`; None of photos.

    Jumps, across which they are not smoothed, do not count.

    Args:
        faces: in the order of their frames.
    """
    squares, count = 0.0, 0
    by_track = sorted(faces, key=lambda face: face.track)
    for _, of_track in groupby(by_track, key=lambda face: face.track):
        track = list(of_track)
        points = np.stack([face.points for face in track])
        scale = float(np.mean([1 / crop_side(face.matrix) for face in track]))
        for part in steady_parts(points):
            if (differences := part.stop - part.start - 2) > 0:
                squares += jitter(points[part], scale * JITTER_SIDE) ** 2 * differences
                count += differences
    return float(np.sqrt(squares / count)) if count else None


class FaceFlicker:
    """Flicker of exchanged faces: how much they change from frame to frame where the face before does not.

    Faces are compared inside of them, aligned, so that a head that moves as a whole stands still.
    """

    def __init__(self) -> None:
        self._flicker, self._last = Flicker(), (-1, -1)

    def add(self, track: int, frame: int, before: np.ndarray, after: np.ndarray) -> None:
        """Adds the next face of a track, in a frame by its number: two crops of one side, uint8 RGB (S, S, 3)."""
        inside = inner_face(len(before))
        if self._last != (track, frame - 1):
            self._flicker.add(before[inside][None], None)
        self._last = track, frame
        self._flicker.add(before[inside][None], after[inside][None])

    def figures(self) -> Figures:
        """`source` and `swapped`: mean change of still pixels, of 255; their `ratio`; `still`: the share of those."""
        source, swapped, still = self._flicker.figures()
        known = still > 0
        return {
            "source": source if known else None,
            "swapped": swapped if known else None,
            "ratio": swapped / source if known and source else None,
            "still": still,
        }


def found_figures(frames: Sequence[Mapping[str, Any]], rejected: Sequence[str]) -> Figures:
    """How many frames have a face to exchange, and why others have none.

    Args:
        frames: rows of `frames.parquet`.
        rejected: the reason of each rejected face.

    Returns:
        `frames`; `with_face`, share of them; `without`, frames by reason; `rejected`, faces by reason.
    """
    without = [row["reason"] for row in frames if not row["faces"]]
    return {
        "frames": len(frames),
        "with_face": 1 - len(without) / max(1, len(frames)),
        "without": {reason: without.count(reason) for reason in sorted(set(without))},
        "rejected": {reason: rejected.count(reason) for reason in sorted(set(rejected))},
    }


def on_main_face(face: Face, mask: np.ndarray) -> bool:
    """Whether the middle of a face lies on the largest face of a frame's true mask.

    Args:
        face: what was found.
        mask: ids of `SEVEN`, uint8 (H, W).
    """
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(np.isin(mask, FACE).astype(np.uint8))
    if count < 2:
        return False
    height, width = mask.shape
    x, y = np.rint(face.points.mean(0)).astype(int)
    inside = 0 <= x < width and 0 <= y < height
    return bool(inside and pieces[y, x] == 1 + stats[1:, cv2.CC_STAT_AREA].argmax())
