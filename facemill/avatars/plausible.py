"""What a portrait plainly shows: candidates that contradict it are out, however near they are.

Descriptors are standardized within each domain, so that the usual part of a collection meets the usual part of a style.
A style has as many bearded heads as others, and closed eyes beside open ones; collections hardly have any. Standardized
alone, every second face would come to a beard. A beard, closed eyes and an open mouth are told by numbers that mean
the same in every domain.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from facemill.avatars.descriptors import GRID, PROPORTIONS, SILHOUETTE
from facemill.avatars.matching import Library
from facemill.avatars.styles import NONE, PartRole

BEARDS = ("beard", "facialHair", "mustache")
"""Components that are hair on the lower face."""

SHAVEN = 0.1
"""The share of the lower face up to which hair on it is none: a strand, or a ragged border."""


def openness(descriptors: np.ndarray) -> np.ndarray:
    """Mean height of pairs of eyes over the width of the pair: float32 (N,).

    Args:
        descriptors: float32 (N, DIMENSIONS), not standardized.
    """
    ratio, _, _, filled, _ = descriptors[:, PROPORTIONS].T
    return filled * np.exp(-ratio)


def thickness(descriptors: np.ndarray) -> np.ndarray:
    """Mean height of mouths over the face's width: float32 (N,). A small mouth is one pixel high and not open by that.

    Args:
        descriptors: float32 (N, DIMENSIONS), not standardized.
    """
    _, _, height, filled, _ = descriptors[:, PROPORTIONS].T
    return filled * np.exp(height)


def evenness(descriptors: np.ndarray) -> np.ndarray:
    """The lower eye's height over that of the higher one: float32 (N,), 1 for even ones, small for a wink.

    Args:
        descriptors: of pairs of eyes, float32 (N, DIMENSIONS), not standardized.
    """
    heights = descriptors[:, SILHOUETTE].reshape(-1, GRID, GRID).sum(1)
    eyes = np.sort(heights.reshape(-1, 2, GRID // 2), 2)[..., -4:].mean(2)
    return eyes.min(1) / np.maximum(eyes.max(1), 1e-6)


class Trait(NamedTuple):
    """A number of a part that means the same in every domain."""

    measure: Callable[[np.ndarray], np.ndarray]
    low: float
    """Up to this a part is one thing,"""
    high: float
    """and from this on its opposite: what lies between is compared with both."""


TRAITS: dict[PartRole, tuple[Trait, ...]] = {
    "eyes": (Trait(openness, 0.06, 0.085), Trait(evenness, 0.4, 0.6)),
    "mouth": (Trait(thickness, 0.055, 0.08),),
}
"""Shut or open, winking or not.

The eyes of 98% of 300 anime portraits are open by more than .09, and even by more than .77. Shut eyes of toon-head
measure .03, of adventurer .05, winks of both less than .25. Mouths of styles are below .055 or above .08.
"""


def contradicted(
    role: PartRole, descriptors: np.ndarray, faces: Sequence[np.ndarray | None], library: Library
) -> np.ndarray:
    """Which candidates contradict what parts plainly show: bool (B, C). Where all would, none does.

    Args:
        role: of the parts.
        descriptors: of the parts, float32 (B, DIMENSIONS), not standardized.
        faces: the descriptor of each portrait's face; None where it shows none.
        library: the style's parts.
    """
    out = np.zeros((len(descriptors), len(library.roles[role])), bool)
    for measure, low, high in TRAITS.get(role, ()):
        shown, drawn = measure(descriptors)[:, None], measure(library.means[role])
        out |= ((shown >= high) & (drawn <= low)) | ((shown <= low) & (drawn >= high))
    if role == "hair":
        bearded = np.array([any(choice.get(name, NONE) != NONE for name in BEARDS) for choice in library.roles[role]])
        shaven = np.array([face is None or beard(face) <= SHAVEN for face in faces])
        out |= shaven[:, None] & bearded
    return out & ~out.all(1, keepdims=True)


def beard(descriptor: np.ndarray) -> float:
    """The share of the lower face's middle, within the convex hull of the face, that is none of the face.

    Args:
        descriptor: of a face, float32 (DIMENSIONS,), not standardized.
    """
    face = cv2.resize(descriptor[SILHOUETTE].reshape(GRID, GRID), None, fx=4, fy=4) > 0.5
    rows, columns = np.nonzero(face)
    if not len(rows):
        return 0.0
    hull = np.zeros(face.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(np.column_stack([columns, rows]).astype(np.int32)), 1)
    top, bottom, left, right = rows.min(), rows.max(), columns.min(), columns.max()
    height, width = bottom - top, right - left
    window = (slice(top + round(0.55 * height), bottom + 1), slice(left + width // 4, right - width // 4 + 1))
    inside = hull[window].astype(bool)
    return float((inside & ~face[window]).sum() / max(inside.sum(), 1))
