"""Parts of a portrait: each cut from the upright portrait by its mask, and described."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache

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

WINDOW = 120
"""Pixels on a side of what looks are taken from: a frame of `CROP` pixels with a margin."""

LEAST_BROWS = 0.01
"""The least area of eyebrows, in squares of the eyes' width: of less, hair hides too much to tell which they are."""

MARGIN = 1.1
"""The square around a part, in its longer sides."""

MAX_ANGLE = 20
"""Degrees by which a portrait is turned upright at most."""

COLOR_OF: dict[PartRole, str] = {
    "hair": "hair",
    "face": "skin",
    "clothes": "clothes",
    "eyes": "eye",
    "mouth": "mouth",
}
"""The region of `imaging.colors.REGIONS` whose color a part's `lab` is, by the part's role."""

_ELONGATED = 2.5  # length over thickness of two eyes, whose axis says how the head is turned
_ROLES_OF: dict[PartRole, tuple[Role, ...]] = {
    "eyes": ("eye",),
    "mouth": ("mouth",),
    "hair": ("hair",),
    "face": ("face", "eye", "mouth"),
    "clothes": ("clothes",),
}


def _members(*roles: Role) -> np.ndarray:
    """255 for each id of `SEVEN` that has one of these roles, else 0: uint8 (256,)."""
    return np.isin(np.arange(256), SEVEN.role_ids(*roles)) * np.uint8(255)


_MEMBERS = {role: _members(*roles) for role, roles in _ROLES_OF.items()}
_HEAD = _members("skin", "face", "eye", "mouth")


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
    image, mask = _reduced(image, mask)
    colors = region_colors(image, np.where(mask == 0, np.uint8(IGNORE), mask), SEVEN)  # not of the background
    pixels, ids = _upright(image, mask)
    masks = {role: _MEMBERS[role][ids] for role in _MEMBERS}
    boxes = {role: box for role in masks if (box := box_of(masks[role]))}
    head = _head(ids, boxes)
    if head is None:
        return {}
    if "eyes" in boxes:
        brows = masks["eyebrows"] = _eyebrows(pixels, ids, boxes["eyes"])
        span = boxes["eyes"][2] - boxes["eyes"][0]
        if brows.sum() / 255 >= LEAST_BROWS * span**2 and (box := box_of(brows)):
            boxes["eyebrows"] = box
    layers = np.dstack([pixels, ids])
    parts = {}
    for role in PART_ROLES:
        if role in boxes and role in roles:
            layers[..., 3] = masks[role]
            parts[role] = _part(role, layers, boxes, head, _look_maps(looks, seed), colors.get(COLOR_OF.get(role, "")))
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


def _head(ids: np.ndarray, boxes: Mapping[PartRole, Box]) -> Box | None:
    """The box of face and ears, which are skin or, in some masks and styles, face; else that of the hair."""
    if "face" not in boxes:
        return boxes.get("hair")
    _, top, _, bottom = boxes["face"]
    rows = slice(int(top), int(np.ceil(bottom)))
    box = box_of(_HEAD[ids[rows]])
    return (box[0], top, box[2], bottom) if box else boxes["face"]


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


def _eyebrows(pixels: np.ndarray, ids: np.ndarray, eyes: Box) -> np.ndarray:
    """How much the face differs from its own color above the eyes' middle: uint8, 0 elsewhere."""
    left, top, right, bottom = eyes
    width = right - left
    rows = slice(max(0, int(top - 0.35 * width)), int((top + bottom) / 2))
    columns = slice(max(0, int(left - 0.1 * width)), int(right + 0.1 * width) + 1)
    brows = np.zeros_like(ids)
    border = 2 * max(1, round(0.02 * width)) + 1  # where the face mixes with its neighbors
    face = cv2.erode((ids[rows, columns] == ROLES.index("face")).astype(np.uint8), np.ones((border, border), np.uint8))
    if face.any():
        lab = cv2.cvtColor(pixels[rows, columns].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
        away = np.linalg.norm(lab - np.median(lab[face > 0], axis=0), axis=-1)
        brows[rows, columns] = np.where((face > 0) & (away > 12), np.minimum(away * 6, 255), 0)
    return brows


@lru_cache
def _look_maps(looks: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each look samples a window, x and y: float32 (looks * 2 GRID, 2 GRID).

    A look is turned by 2 degrees, scaled by 2% and shifted by 3% of the frame at most; the first is not moved.
    """
    moves = np.random.default_rng(seed).uniform(-1, 1, (looks, 4)) * [np.radians(2), 0.02, 0.03, 0.03]
    moves[0] = 0
    angle, scale, *shift = moves.T[:, :, None, None]
    y, x = (np.mgrid[: 2 * GRID, : 2 * GRID] - GRID + 0.5) * (CROP / (2 * GRID))
    cosine, sine, middle = np.cos(angle) * (1 + scale), np.sin(angle) * (1 + scale), (WINDOW - 1) / 2
    across = x * cosine - y * sine + CROP * shift[0] + middle
    down = x * sine + y * cosine + CROP * shift[1] + middle
    return across.reshape(-1, 2 * GRID).astype(np.float32), down.reshape(-1, 2 * GRID).astype(np.float32)


def _part(
    role: PartRole,
    layers: np.ndarray,
    boxes: Mapping[PartRole, Box],
    head: Box,
    maps: tuple[np.ndarray, np.ndarray],
    color: np.ndarray | None,
) -> Part:
    """A part of a portrait whose layers are RGB and the part's mask: uint8 (H, W, 4)."""
    box = boxes[role]
    side = MARGIN * max(box[2] - box[0], box[3] - box[1])
    crop = _window(layers, ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2, side, side), CROP, cv2.BORDER_CONSTANT)
    window = _window(layers, _frame(role, boxes, head), WINDOW, cv2.BORDER_REPLICATE)
    alpha = window[..., 3].astype(np.float32) / 255
    gray = cv2.cvtColor(window[..., :3], cv2.COLOR_RGB2GRAY)
    around = float(np.median(gray[alpha < 0.5])) if (alpha < 0.5).any() else 255.0
    inside = cv2.merge([alpha, gray * alpha + around * (1 - alpha)])
    looks = cv2.remap(inside, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = layers[..., 3]
    return Part(
        crop,
        describe(shrink(looks), geometry(box, float(mask.sum() / 255), head)),
        _openness(role, mask) if role in ("eyes", "mouth") else None,
        color,
    )


def _frame(role: PartRole, boxes: Mapping[PartRole, Box], head: Box) -> tuple[float, float, float, float]:
    """Where a part is described: middle to the right and down, width, height."""
    left, top, right, bottom = boxes[role]
    x, y, width, height = (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
    head_width = head[2] - head[0]
    eyes = boxes.get("eyes")
    head_x, head_y = (head[0] + head[2]) / 2, (head[1] + head[3]) / 2
    match role:
        case "eyes":
            return x, y, MARGIN * width, MARGIN * max(height, 0.2 * width)
        case "hair":
            side = 2 * np.sqrt(head_width * width)
            return head_x, head_y, side, side
        case "clothes":
            return head_x, head[3] + 0.3 * head_width, 1.2 * head_width, 1.2 * head_width
        case "eyebrows" if eyes:
            span = eyes[2] - eyes[0]
            return (eyes[0] + eyes[2]) / 2, y, 1.2 * span, 0.5 * span
    side = MARGIN * max(width, height)
    return x, y, side, side


def _window(layers: np.ndarray, frame: tuple[float, float, float, float], pixels: int, border: int) -> np.ndarray:
    """A frame of RGBA layers as a square of so many pixels; beyond the picture alpha is 0, or goes on (`border`)."""
    x, y, width, height = frame
    steps = [width / pixels, height / pixels]
    while max(steps) > 2:  # so that sampling misses nothing
        layers = cv2.resize(layers, (-(-layers.shape[1] // 2), -(-layers.shape[0] // 2)), interpolation=cv2.INTER_AREA)
        x, y, steps = x / 2, y / 2, [step / 2 for step in steps]
    start = [m - step * (pixels - 1) / 2 - 0.5 for m, step in zip((x, y), steps, strict=True)]
    transform = np.array([[steps[0], 0, start[0]], [0, steps[1], start[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(layers, transform, (pixels, pixels), flags=flags, borderMode=border)


def _openness(role: PartRole, mask: np.ndarray) -> float:
    """The mean height of the covered columns over their number; eyes: over half of it, since there are two."""
    columns = np.count_nonzero(mask, axis=0)
    covered = np.count_nonzero(columns)
    return float(columns.sum() / covered**2) * (2 if role == "eyes" else 1)
