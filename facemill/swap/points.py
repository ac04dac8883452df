"""Where eyes and mouth are, by the mask of a face alone, without landmarks that a network would have to learn."""

from typing import NamedTuple

import cv2
import numpy as np

from facemill.avatars.regions import MIN_PIXELS
from facemill.data.classes import ROLES

_EYE, _MOUTH = ROLES.index("eye"), ROLES.index("mouth")

_PAIR = 0.05
"""Area of the second eye over that of the first, at least: a winking eye of the sample has a ninth."""

_APART = 0.25
"""Distance of two eyes over the face's shorter side, at least: hair cuts an eye into pieces that are nearer."""

_LEAST = 0.001
"""Area of an eye or a mouth over that of the face, at least: a shut eye of a photo has a five hundredth."""

_SHARE = 0.25
"""Of one piece's pixels on each side of the face's axis, at least, where it is both eyes."""

_LEVEL = 0.7
"""Cosine of the angle between two eyes and the horizontal of the face, at least: what lies above an eye is none."""

GUESSED = 0.5
"""Factor of the confidence for each point that is not seen."""


class Points(NamedTuple):
    """Left eye, right eye and mouth of a face."""

    places: np.ndarray
    """In pixels of the mask, float64 (3, 2); the middle of the first pixel is at 0."""
    seen: np.ndarray
    """Which of them the mask shows, bool (3,)."""


def locate(mask: np.ndarray, piece: np.ndarray, last: np.ndarray | None = None) -> Points | None:
    """The middles of the eyes and the mouth of a face.

    Two eyes are the two largest pieces that lie side by side, or the two sides of one piece that the face's axis cuts,
    the line from the mouth to the forehead. What is not seen has the place that it had in `last`, beside what is seen.
    Without `last`, an eye is the mirror image of the other, the mouth the lowest point of the face; without any eye
    there are no points.

    Args:
        mask: ids of `SEVEN`, uint8 (H, W).
        piece: the face with its eyes and mouth as 1 in 0, uint8 (H, W), not empty.
        last: about where the points should be, all of which were seen some frames before, float (3, 2).
    """
    hull = _hull(piece)
    center = _middle(hull > 0)
    eyes, mouth = ((mask == part) & (hull > 0) for part in (_EYE, _MOUTH))
    least = max(MIN_PIXELS, _LEAST * np.count_nonzero(piece))
    has_eyes, has_mouth = (np.count_nonzero(part) >= least for part in (eyes, mouth))
    places = np.full((3, 2), np.nan)
    if has_mouth:
        places[2] = _middle(mouth)
    up = _direction(center - places[2] if has_mouth else _middle(eyes) - center if has_eyes else np.zeros(2))
    if has_eyes:
        places[:2] = _pair(eyes, piece, center, up)
    seen = ~np.isnan(places).any(1)
    if last is None and not has_eyes:
        return None
    return Points(_completed(places, seen, piece, (center, up), last), seen)


def _pair(eyes: np.ndarray, piece: np.ndarray, center: np.ndarray, up: np.ndarray) -> np.ndarray:
    """The left and the right eye, float64 (2, 2); NaN for one that is not seen."""
    across = np.array([-up[1], up[0]])
    _, _, stats, middles = cv2.connectedComponentsWithStats(eyes.astype(np.uint8), connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    first, *others = np.argsort(-areas, kind="stable")
    least = _APART * min(cv2.boundingRect(piece)[2:])
    for other in others:
        apart = middles[other + 1] - middles[first + 1]
        length = np.linalg.norm(apart)
        if areas[other] >= _PAIR * areas[first] and length >= least and abs(apart @ across) >= _LEVEL * length:
            pair = middles[[first + 1, other + 1]]
            return pair[np.argsort(pair @ across)]
    places = np.argwhere(eyes)[:, ::-1].astype(np.float64)
    is_right = (places - center) @ across > 0
    pair = np.full((2, 2), np.nan)
    share = is_right.mean()
    if share <= 1 - _SHARE:
        pair[0] = (places[~is_right] if share >= _SHARE else places).mean(0)
    if share >= _SHARE:
        pair[1] = (places[is_right] if share <= 1 - _SHARE else places).mean(0)
    return pair


def _completed(
    places: np.ndarray,
    seen: np.ndarray,
    piece: np.ndarray,
    axis: tuple[np.ndarray, np.ndarray],
    last: np.ndarray | None,
) -> np.ndarray:
    """Points, float64 (3, 2), with those that are not seen; `axis` is a point of the face's axis, and its upward."""
    places = places.copy()
    if last is not None and seen.sum() < 2:
        return np.where(seen[:, None], places, last)
    if last is not None and seen.sum() == 2:
        then, now = last @ (1, 1j), places @ (1, 1j)
        first, second = np.flatnonzero(seen)
        slope = (now[second] - now[first]) / (then[second] - then[first])
        missing = now[first] + slope * (then[~seen][0] - then[first])
        places[~seen] = missing.real, missing.imag
        return places
    center, up = axis
    if not seen[2]:
        inside = np.argwhere(piece)[:, ::-1]
        places[2] = inside[(inside @ up).argmin()]
    for eye, other in ((0, 1), (1, 0)):
        if not seen[eye] and seen[other]:
            away = places[other] - center
            places[eye] = center + 2 * (away @ up) * up - away
    return places


def _hull(piece: np.ndarray) -> np.ndarray:
    """The convex hull of a piece, as 1 in 0: eyes that hair cuts off from the face lie in it."""
    return cv2.fillConvexPoly(np.zeros_like(piece), cv2.convexHull(cv2.findNonZero(piece)), 1)


def _middle(part: np.ndarray) -> np.ndarray:
    return np.argwhere(part).mean(0)[::-1]


def _direction(vector: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vector)
    return vector / length if length else np.array([0.0, -1.0])
