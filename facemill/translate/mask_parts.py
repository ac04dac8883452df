"""The parts of a portrait in its mask: boxes and pieces of face, hair, eyes and mouth."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from facemill.data.classes import ROLES, Role

SPECK = 0.2
"""A piece of less than this share of its part's largest does not count."""


class Box(NamedTuple):
    """A rectangle of pixels."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """In pixels."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """In pixels."""
        return self.bottom - self.top

    @property
    def center(self) -> np.ndarray:
        """x and y, float64 (2,)."""
        return np.array([self.left + self.right, self.top + self.bottom]) / 2


class Parts(NamedTuple):
    """Where a portrait's parts are; None and empty where it shows none."""

    face: Box | None
    hair: Box | None
    """From its top to the lower end of the face."""
    eyes: tuple[Box, ...]
    """One or two, from left to right."""
    mouth: Box | None


def parts_of(roles: np.ndarray) -> Parts:
    """The parts of a mask, indices into `ROLES`, uint8 (H, W)."""
    face = around(pieces(np.isin(roles, [role_id(role) for role in ("face", "eye", "mouth")]))[:1])
    if face is None:
        return Parts(None, None, (), None)
    beside = (roles == role_id("hair")) & (np.arange(len(roles)) < face.bottom)[:, None]
    eyes = [box for piece in pieces(roles == role_id("eye"))[:2] if (box := around([piece]))]
    mouth = around(pieces(roles == role_id("mouth")))
    return Parts(face, around(pieces(beside)), tuple(sorted(eyes)), mouth)


def crop(mask: np.ndarray, box: Box) -> np.ndarray:
    """What of a mask, (H, W), lies in a box."""
    return mask[int(box.top) : int(box.bottom), int(box.left) : int(box.right)]


def pieces(mask: np.ndarray) -> list[np.ndarray]:
    """The connected pieces of a mask, bool (H, W) each, from the largest to those that count (`SPECK`)."""
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    sizes = statistics[1:, cv2.CC_STAT_AREA]
    order = np.argsort(-sizes, kind="stable")
    return [labels == index + 1 for index in order if sizes[index] >= SPECK * sizes[order[0]]]


def around(parts: Sequence[np.ndarray]) -> Box | None:
    """The box around pieces, bool (H, W) each; None without any."""
    if not parts:
        return None
    rows, columns = np.nonzero(np.any(parts, axis=0))
    return Box(float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))


def role_id(role: Role) -> int:
    """The index of a role in `ROLES`."""
    return ROLES.index(role)
