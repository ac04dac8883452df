"""Proportions of portraits, measured on their masks, and masks brought to the proportions of another collection.

Two collections have eyes, mouths, faces and hair of other sizes and in other places. Each measure of a portrait keeps
its standard score: who has large eyes among photos has large eyes among drawings.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Self

import cv2
import numpy as np

from facemill.data.classes import ROLES, Role
from facemill.translate.mask_parts import Box, Parts, crop, parts_of, pieces, role_id

MEASURES = (
    *("face_x", "face_y", "face_width", "face_height"),
    *("hair_top", "hair_side"),
    *("eyes_apart", "eyes_y", "eye_width", "eye_height"),
    *("mouth_y", "mouth_width", "mouth_height"),
)
"""What is measured. The face is that with eyes and mouth; its place and size are shares of the image's; `hair_top` and
`hair_side` are how far hair reaches beyond it; all others are in widths and heights of the face. Sizes are
logarithms, so that they scale."""

MOST = 1.5
"""Standard deviations from the mean that a measure has at most: with 2.5 the U-Net saw no mouth in 5.6% of 90 men's
results, with 1.5 in 3.3%."""

SIDE = 32
"""Steps in which silhouettes and places are counted."""

_LEAST = 0.01  # of widths and heights, whose logarithm is taken
_GROWTH = 0.3  # of the face's width, at most, by which hair grows: set by hand, so that little hair fills no background
_FINE = 4  # parts are moved at so many times the resolution, so that small eyes keep their shape


def measure(roles: np.ndarray) -> np.ndarray:
    """The `MEASURES` of a mask, indices into `ROLES`, uint8 (H, W): float64 (measures,), NaN for parts without."""
    height, width = roles.shape
    values = dict.fromkeys(MEASURES, np.nan)
    face, hair, eyes, mouth = parts_of(roles)
    if face:
        values |= {"face_x": face.center[0] / width, "face_y": face.center[1] / height}
        values |= {"face_width": _log(face.width / width), "face_height": _log(face.height / height)}
    if face and hair:
        sides = (face.left - hair.left + hair.right - face.right) / 2
        values |= {"hair_top": (face.top - hair.top) / face.height, "hair_side": sides / face.width}
    if face and eyes:
        values |= {"eyes_y": float(np.mean([(eye.center[1] - face.top) / face.height for eye in eyes]))}
        values |= {"eye_width": float(np.mean([_log(eye.width / face.width) for eye in eyes]))}
        values |= {"eye_height": float(np.mean([_log(eye.height / face.height) for eye in eyes]))}
    if face and len(eyes) == 2:
        values |= {"eyes_apart": _log((eyes[1].center[0] - eyes[0].center[0]) / face.width)}
    if face and mouth:
        values |= {"mouth_y": (mouth.center[1] - face.top) / face.height}
        values |= {"mouth_width": _log(mouth.width / face.width), "mouth_height": _log(mouth.height / face.height)}
    return np.array([values[name] for name in MEASURES])


class Proportions(NamedTuple):
    """What a collection's portraits measure, and what they look like in the mean."""

    means: np.ndarray
    """Of the `MEASURES`, float64 (measures,)."""
    deviations: np.ndarray
    """Standard deviations, float64 (measures,), above 0."""
    eye: np.ndarray
    """The usual silhouette of a left eye in the picture: share of eyes by pixel, float32 (SIDE, SIDE)."""
    below: np.ndarray
    """What is below faces: role by row from the face's lower end on, and by column from its middle, in steps of
    1 / `SIDE` of the face's height and width: uint8 (2 SIDE, 4 SIDE)."""

    @classmethod
    def of(cls, masks: Sequence[np.ndarray]) -> Self:
        """Those of masks of roles, uint8 (H, W) each. Raises `ValueError` where no two show a face with its parts."""
        measures = np.array([measure(mask) for mask in masks]).reshape(-1, len(MEASURES))
        if (np.count_nonzero(~np.isnan(measures), axis=0) < 2).any():
            raise ValueError(f"{len(measures)} masks; accepted: some with a face, two eyes, a mouth and hair")
        deviations = np.maximum(np.nanstd(measures, 0), 1e-3)
        return cls(np.nanmean(measures, 0), deviations, usual_eye(masks), usually_below(masks))


def usual_eye(masks: Iterable[np.ndarray]) -> np.ndarray:
    """The share of eyes that have each pixel of their box, float32 (SIDE, SIDE), right ones mirrored."""
    total, count = np.zeros((SIDE, SIDE), np.float32), 0
    for mask in masks:
        eyes = parts_of(mask).eyes
        for index, eye in enumerate(eyes if len(eyes) == 2 else ()):
            silhouette = (crop(mask, eye) == role_id("eye")).astype(np.float32)
            large = cv2.resize(silhouette[:, :: -1 if index else 1], (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
            total, count = total + large, count + 1
    return total / max(count, 1)


def usually_below(masks: Iterable[np.ndarray]) -> np.ndarray:
    """What is usually below faces but for hair, which not all have long: `Proportions.below`."""
    counts = np.zeros((len(ROLES), 2 * SIDE, 4 * SIDE), np.int64)
    for mask in masks:
        if face := parts_of(mask).face:
            rows = (face.bottom + (np.arange(2 * SIDE) + 0.5) / SIDE * face.height).astype(int)
            columns = (face.center[0] + (np.arange(-2 * SIDE, 2 * SIDE) + 0.5) / SIDE * face.width).astype(int)
            seen = mask[np.ix_(np.minimum(rows, len(mask) - 1), np.clip(columns, 0, mask.shape[1] - 1))]
            there = (rows < len(mask))[:, None] & ((columns >= 0) & (columns < mask.shape[1]))
            for role in ("background", "skin", "clothes"):
                counts[role_id(role)] += there & (seen == role_id(role))
    counts = counts + counts[..., ::-1]  # left and right alike
    rows_known = counts.sum((0, 2)) > 0
    last = np.maximum.accumulate(np.where(rows_known, np.arange(2 * SIDE), 0))  # below the last that any mask shows
    return counts.argmax(0)[last].astype(np.uint8)


def carried_over(values: np.ndarray, own: Proportions, other: Proportions) -> np.ndarray:
    """Measures, float64 (measures,), with the standard scores that they have; the other's means where they are NaN."""
    scores = np.clip((values - own.means) / own.deviations, -MOST, MOST)
    return other.means + np.nan_to_num(scores) * other.deviations


def with_proportions(roles: np.ndarray, own: Proportions, other: Proportions) -> np.ndarray:
    """A mask with the proportions of another collection: uint8 (H, W).

    All of it is stretched so that the face has its new box; what then lies below the picture is what the other
    collection usually has there. Hair grows to its new reach. Eyes and mouth are put where they belong, at their new
    sizes, eyes in the other's shape. A face without eyes, which dark glasses hide, or without a mouth, gets the
    other's mean ones.

    Args:
        roles: indices into `ROLES`, uint8 (H, W).
        own: proportions of the mask's collection.
        other: proportions of the other one.

    Returns:
        A mask without a face is as it was.
    """
    if parts_of(roles).face is None:
        return roles
    wanted = dict(zip(MEASURES, carried_over(measure(roles), own, other).tolist(), strict=True))
    stretched = _stretched(roles, wanted, other.below)
    parts = parts_of(stretched)
    if parts.face is None:  # too small to be seen
        return roles
    result = np.where(np.isin(stretched, (role_id("eye"), role_id("mouth"))), role_id("face"), stretched).astype(
        np.uint8
    )
    _grow_hair(result, parts, wanted)
    _put(result, *_moved_mouth(stretched, parts, wanted), "mouth")
    for box in moved_eyes(parts, wanted):
        _put(result, (other.eye if box.center[0] < parts.face.center[0] else other.eye[:, ::-1]) > 0.5, box, "eye")
    return result


def _stretched(roles: np.ndarray, wanted: dict[str, float], below: np.ndarray) -> np.ndarray:
    """The mask with the face in its new box; at its sides and above it goes on as it ends."""
    height, width = roles.shape
    face = parts_of(roles).face
    assert face, "no face"
    w, h = np.exp(wanted["face_width"]) * width, np.exp(wanted["face_height"]) * height
    x = (np.arange(width) + 0.5 - wanted["face_x"] * width) / w  # from the face's middle, in its widths
    y = (np.arange(height) + 0.5 - wanted["face_y"] * height) / h
    columns = np.clip(face.center[0] + x * face.width, 0, width - 1).astype(int)
    rows = (face.center[1] + y * face.height).astype(int)
    result = roles[np.ix_(np.clip(rows, 0, height - 1), columns)]
    steps = np.clip((y - 0.5) * SIDE, 0, len(below) - 1).astype(int)
    usual = below[np.ix_(steps, np.clip((x + 2) * SIDE, 0, below.shape[1] - 1).astype(int))]
    beyond = (rows >= height)[:, None] & (result != role_id("hair"))
    return np.where(beyond, usual, result).astype(np.uint8)


def _grow_hair(roles: np.ndarray, parts: Parts, wanted: dict[str, float]) -> None:
    """Lets hair grow over background and skin, to its reach beyond the face."""
    face, hair = parts.face, parts.hair
    if face is None or hair is None:
        return
    side = wanted["hair_side"] * face.width - (face.left - hair.left + hair.right - face.right) / 2
    top = wanted["hair_top"] * face.height - (face.top - hair.top)
    x, y = (round(min(max(pixels, 0), _GROWTH * face.width)) for pixels in (side, top))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * x + 1, 2 * y + 1))
    large = np.any(pieces(roles == role_id("hair")), axis=0).astype(np.uint8)
    under = np.isin(roles, (role_id("background"), role_id("skin"))) & (np.arange(len(roles)) < face.bottom)[:, None]
    roles[under & (cv2.dilate(large, kernel) > 0)] = role_id("hair")


def moved_eyes(parts: Parts, wanted: dict[str, float]) -> list[Box]:
    """The boxes of the eyes, at their new places and sizes; of one at a side of the face the other one, too."""
    face, eyes = parts.face, parts.eyes
    assert face, "no face"
    width, height = np.exp(wanted["eye_width"]) * face.width, np.exp(wanted["eye_height"]) * face.height
    y = face.top + wanted["eyes_y"] * face.height
    apart = np.exp(wanted["eyes_apart"]) * face.width
    if len(eyes) < 2:
        middle = face.center[0]
        return [_box((middle + sign * apart / 2, y), width, height) for sign in (-1, 1)]
    mean_width, mean_height = (np.exp(np.mean(np.log(sizes))) for sizes in zip(*_sizes(eyes), strict=True))
    middle, mean_y = np.mean([eye.center for eye in eyes], axis=0)
    return [
        _box(
            (middle + sign * apart / 2, y + eye.center[1] - mean_y),
            *(eye.width * width / mean_width, eye.height * height / mean_height),
        )
        for sign, eye in zip((-1, 1), eyes, strict=True)
    ]


def _sizes(boxes: Iterable[Box]) -> list[tuple[float, float]]:
    return [(box.width, box.height) for box in boxes]


def _moved_mouth(roles: np.ndarray, parts: Parts, wanted: dict[str, float]) -> tuple[np.ndarray, Box]:
    """The mouth's pixels, bool (h, w), and its new box; an ellipse where there is none."""
    face, mouth = parts.face, parts.mouth
    assert face, "no face"
    width, height = np.exp(wanted["mouth_width"]) * face.width, np.exp(wanted["mouth_height"]) * face.height
    box = _box(
        (mouth.center[0] if mouth else face.center[0], face.top + wanted["mouth_y"] * face.height), width, height
    )
    if mouth:
        return crop(roles, mouth) == role_id("mouth"), box
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (SIDE, SIDE)).astype(bool), box


def _put(roles: np.ndarray, silhouette: np.ndarray, box: Box, role: Role) -> None:
    """Paints a silhouette, bool (h, w), into a mask at a box: at least one pixel, and nothing beyond face and hair."""
    height, width = roles.shape
    scale = np.array([box.width / silhouette.shape[1], box.height / silhouette.shape[0]]) * _FINE
    shift = np.array([box.left, box.top]) * _FINE + scale / 2 - 0.5  # OpenCV's coordinates are those of pixels' centers
    matrix = np.column_stack([np.diag(scale), shift])
    size = (width * _FINE, height * _FINE)
    fine = cv2.warpAffine(silhouette.astype(np.uint8) * 255, matrix, size, flags=cv2.INTER_LINEAR)
    covered = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA)
    under = np.isin(roles, [role_id(r) for r in ("face", "hair", "eye", "mouth")])
    roles[under & (covered >= max(1, min(128, int(covered.max()))))] = role_id(role)


def _box(center: Sequence[float], width: float, height: float) -> Box:
    x, y = center
    return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _log(value: float) -> float:
    return float(np.log(max(value, _LEAST)))
