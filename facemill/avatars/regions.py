"""Parts of a portrait: each cut from the upright portrait by its mask, and described."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from facemill.avatars.descriptors import GRID, Box, describe, geometry, shrink
from facemill.avatars.styles import PART_ROLES, PartRole
from facemill.data.classes import IGNORE, ROLES, SEVEN, ClassTable, Role
from facemill.imaging.colors import region_colors

CROP = 96
"""Pixels on a side of a part's crop."""

WORKING_SIZE = 512
"""A portrait's longer side is reduced to this before it is cut."""

MIN_PIXELS = 4
"""A part with fewer pixels is not there."""

MARGIN = 1.1
"""The square around a part, in its longer sides."""

MAX_ANGLE = 20
"""Degrees by which a portrait is turned upright at most."""

_ELONGATED = 2.5  # length over thickness of two eyes, whose axis says how the head is turned
_ROLES_OF: dict[PartRole, tuple[Role, ...]] = {
    "eyes": ("eye",),
    "mouth": ("mouth",),
    "hair": ("hair",),
    "face": ("face", "eye", "mouth"),
    "clothes": ("clothes",),
}
_COLOR_OF: dict[PartRole, str] = {
    "hair": "hair",
    "face": "skin",
    "clothes": "clothes",
    "eyes": "eye",
    "mouth": "mouth",
}
_WIDE = 1.25  # the square that looks are taken from, in crops


@dataclass(frozen=True)
class Part:
    """A part of a portrait."""

    crop: np.ndarray
    """The square around it, upright: uint8 RGBA (CROP, CROP, 4), alpha is its mask."""
    descriptor: np.ndarray
    """float32 (DIMENSIONS,), mean of the looks."""
    openness: float | None
    """Of a mouth and of eyes: mean height over width."""
    lab: np.ndarray | None
    """Median CIELAB color, float32 (3,); None where the part has none, or too few pixels."""


def seven_ids(mask: np.ndarray, classes: ClassTable) -> np.ndarray:
    """A mask in ids of `SEVEN`, uint8 (H, W); `IGNORE` where a class has no role.

    Args:
        mask: ids of `classes`, uint8 (H, W).
        classes: the mask's class table.
    """
    table = np.full(256, IGNORE, np.uint8)
    for i, c in enumerate(classes.root):
        if c.role is not None:
            table[i] = ROLES.index(c.role)
    return table[mask]


def cut_parts(
    image: np.ndarray, mask: np.ndarray, *, looks: int, seed: int = 0, roles: Collection[PartRole] = PART_ROLES
) -> dict[PartRole, Part]:
    """The parts of a portrait that are there, each cut from the upright portrait and described.

    Args:
        image: uint8 RGB (H, W, 3).
        mask: ids of `SEVEN`, uint8 (H, W).
        looks: slightly moved looks whose mean is the descriptor; the first is not moved.
        seed: of the moves.
        roles: the parts that are wanted.
    """
    colors = region_colors(image, mask, SEVEN)
    pixels, ids = _upright(*_reduced(image, mask))
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    masks = {role: np.isin(ids, SEVEN.role_ids(*roles)).astype(np.uint8) * 255 for role, roles in _ROLES_OF.items()}
    face = box_of(masks["face"]) or box_of(masks["hair"])
    if face is None:
        return {}
    skin = float(np.median(gray[masks["face"] > 0])) if masks["face"].any() else 255.0
    masks["eyebrows"] = _eyebrows(gray, ids, masks["eyes"], skin)
    moves = _moves(looks, np.random.default_rng(seed))
    parts = {}
    for role in roles:
        if (box := box_of(masks[role])) is not None:
            parts[role] = _part(role, pixels, masks[role], box, face, skin, moves, colors)
    return parts


def box_of(mask: np.ndarray) -> Box | None:
    """The box around a mask, without its outermost hundredth on each side; None for less than `MIN_PIXELS`."""
    area = cv2.countNonZero(mask)
    if area < MIN_PIXELS:
        return None
    sides = []
    for axis in (0, 1):
        ends = np.concatenate([[0], np.cumsum(np.count_nonzero(mask, axis=axis))])
        sides.append(np.interp([0.01 * area, 0.99 * area], ends, np.arange(len(ends))))
    (left, right), (top, bottom) = sides
    return float(left), float(top), max(float(right), left + 1.0), max(float(bottom), top + 1.0)


def _reduced(image: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    height, width = mask.shape
    factor = WORKING_SIZE / max(height, width)
    if factor >= 1:
        return image, mask
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return (
        cv2.resize(image, size, interpolation=cv2.INTER_AREA),
        cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST),
    )


def _upright(image: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The portrait turned so that its eyes lie level, on a canvas that holds all of it; `IGNORE` around it."""
    angle = _angle((mask == ROLES.index("eye")).astype(np.uint8))
    height, width = mask.shape
    turn = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), angle, 1)
    cosine, sine = abs(turn[0, 0]), abs(turn[0, 1])
    size = (int(np.ceil(width * cosine + height * sine)), int(np.ceil(width * sine + height * cosine)))
    turn[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    return (
        cv2.warpAffine(image, turn, size, borderMode=cv2.BORDER_REPLICATE),
        cv2.warpAffine(mask, turn, size, flags=cv2.INTER_NEAREST, borderValue=(IGNORE,)),
    )


def _angle(eyes: np.ndarray) -> float:
    """Degrees by which the eyes' main axis is turned clockwise; 0 where they are no elongated pair, or too far."""
    moments = cv2.moments(eyes, binaryImage=True)
    xx, yy, xy = moments["mu20"], moments["mu02"], moments["mu11"]
    spread = np.hypot(xx - yy, 2 * xy)
    long, short = xx + yy + spread, xx + yy - spread
    if long <= 0 or long < _ELONGATED**2 * short:
        return 0.0
    angle = float(np.degrees(np.arctan2(2 * xy, xx - yy)) / 2)
    return angle if abs(angle) <= MAX_ANGLE else 0.0


def _eyebrows(gray: np.ndarray, ids: np.ndarray, eyes: np.ndarray, skin: float) -> np.ndarray:
    """How much darker than the skin the face is above the eyes: uint8, 0 elsewhere."""
    brows = np.zeros_like(eyes)
    if (box := box_of(eyes)) is None:
        return brows
    left, top, right, bottom = box
    reach, width = 0.35 * (right - left), right - left
    rows = slice(max(0, int(top - reach)), int(bottom))
    columns = slice(max(0, int(left - 0.1 * width)), int(right + 0.1 * width) + 1)
    darker = np.clip((skin - gray[rows, columns]) * (255 / max(skin, 1) * 1.5), 0, 255)
    darker[(ids[rows, columns] != ROLES.index("face")) | (darker < 64)] = 0
    brows[rows, columns] = darker
    return brows


def _moves(looks: int, rng: np.random.Generator) -> np.ndarray:
    """Turn in radians, scale, shift to the right and down in crops, of each look: float64 (looks, 4)."""
    moves = rng.uniform(-1, 1, (looks, 4)) * [np.radians(2), 0.02, 0.03, 0.03] + [0, 1, 0, 0]
    moves[0] = 0, 1, 0, 0
    return moves


def _part(
    role: PartRole,
    pixels: np.ndarray,
    mask: np.ndarray,
    box: Box,
    face: Box,
    skin: float,
    moves: np.ndarray,
    colors: Mapping[str, np.ndarray | None],
) -> Part:
    side = MARGIN * max(box[2] - box[0], box[3] - box[1])
    middle = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    square = _square(np.dstack([pixels, mask]), middle, side * _WIDE)
    start = (len(square) - CROP) // 2
    crop = square[start : start + CROP, start : start + CROP]
    alpha = square[..., 3].astype(np.float32) / 255
    gray = cv2.cvtColor(square[..., :3], cv2.COLOR_RGB2GRAY)
    inside = np.dstack([alpha, gray * alpha + skin * (1 - alpha)])
    proportions = geometry(box, float(mask.sum() / 255), face)
    descriptors = []
    for turn, scale, x, y in moves:
        cells = shrink(_look(inside, turn, scale, x, y))
        descriptors.append(describe(cells[..., 1], cells[..., 0], proportions))
    openness = _openness(role, mask) if role in ("eyes", "mouth") else None
    color = colors.get(_COLOR_OF.get(role, ""))
    return Part(np.ascontiguousarray(crop), np.mean(descriptors, 0), openness, color)


def _square(layers: np.ndarray, middle: tuple[float, float], side: float) -> np.ndarray:
    """A square of RGBA layers, `CROP * _WIDE` pixels on a side; beyond the picture nothing of the part is."""
    pixels = round(CROP * _WIDE)
    step = side / pixels
    while step > 2:  # so that sampling misses nothing
        layers = cv2.resize(layers, (-(-layers.shape[1] // 2), -(-layers.shape[0] // 2)), interpolation=cv2.INTER_AREA)
        middle, step = (middle[0] / 2, middle[1] / 2), step / 2
    start = [m - step * (pixels - 1) / 2 - 0.5 for m in middle]
    transform = np.array([[step, 0, start[0]], [0, step, start[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    colors = cv2.warpAffine(layers[..., :3], transform, (pixels, pixels), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(layers[..., 3], transform, (pixels, pixels), flags=flags)
    return np.dstack([colors, alpha])


def _look(inside: np.ndarray, turn: float, scale: float, x: float, y: float) -> np.ndarray:
    """The crop moved: float32 (2 GRID, 2 GRID, 2)."""
    step = CROP / (2 * GRID) * scale
    cosine, sine = step * np.cos(turn), step * np.sin(turn)
    middle, half = (len(inside) - 1) / 2, GRID - 0.5
    transform = np.array(
        [
            [cosine, -sine, middle + CROP * x - half * (cosine - sine)],
            [sine, cosine, middle + CROP * y - half * (sine + cosine)],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(inside, transform, (2 * GRID, 2 * GRID), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _openness(role: PartRole, mask: np.ndarray) -> float:
    """The mean height of the covered columns over their number; eyes: over half of it, since there are two."""
    columns = np.count_nonzero(mask, axis=0)
    covered = np.count_nonzero(columns)
    return float(columns.sum() / covered**2) * (2 if role == "eyes" else 1)
