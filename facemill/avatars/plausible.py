"""What a portrait plainly shows: candidates that contradict it are out, however near they are.

Descriptors are standardized within each domain, so that the usual part of a collection meets the usual part of a style.
A style has as many bearded heads as others, and closed eyes beside open ones; collections hardly have any. Standardized
alone, every second face would come to a beard. A beard is told by the outline of the face, shut eyes and open mouths by
their height beside the usual one of the collection.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from facemill.avatars.descriptors import GRID, PROPORTIONS, SILHOUETTE
from facemill.avatars.matching import Library
from facemill.avatars.statistics import Statistics
from facemill.avatars.styles import NONE, PartRole

BEARDS = ("beard", "facialHair", "mustache")
"""Components that are hair on the lower face."""

SHAVEN = 0.1
"""The share of the lower face up to which hair on it is none: a strand, or a ragged border."""

_SHUT, _AWAKE = 0.06, 0.085
"""Openness of eyes up to which a style's are shut, and from which they are not. Shut eyes of toon-head measure .03, of
adventurer .05; its wink .09."""

_EYES = (0.4, 0.6)
"""The share of a collection's usual openness up to which eyes are shut, and from which they are not."""

_RARE = 1.5
"""Deviations below the usual openness from which on eyes may be shut: masks of small eyes are coarse."""

_WINK, _EVEN = 0.4, 0.6
"""Evenness of eyes up to which a style's wink, and from which a portrait's do not."""

_CLOSED, _OPEN = 0.055, 0.08
"""Thickness of mouths up to which they are closed, and from which they are open: styles have none between. In a
collection it is the usual thickness, where that is more: masks of photos have the lips in them."""


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


def contradicted(
    role: PartRole,
    descriptors: np.ndarray,
    faces: Sequence[np.ndarray | None],
    library: Library,
    statistics: Statistics,
) -> np.ndarray:
    """Which candidates contradict what parts plainly show: bool (B, C). Where all would, none does.

    Args:
        role: of the parts.
        descriptors: of the parts, float32 (B, DIMENSIONS), not standardized.
        faces: the descriptor of each portrait's face; None where it shows none.
        library: the style's parts.
        statistics: of the parts of the portraits' collection.
    """
    drawn, shape = library.means[role], (len(descriptors), len(library.roles[role]))
    known = statistics if role in statistics.means else library.statistics
    out = np.zeros(shape, bool)
    if role == "eyes":
        out = _eyes(descriptors, drawn, known)
    elif role == "mouth":
        usual = float(thickness(known.means[role][None])[0])
        shown, of = thickness(descriptors)[:, None], thickness(drawn)
        out |= (shown > max(_OPEN, usual)) & (of <= _CLOSED)
        out |= (shown < max(_CLOSED, usual)) & (of >= _OPEN)
    elif role == "hair":
        bearded = np.array([any(choice.get(name, NONE) != NONE for name in BEARDS) for choice in library.roles[role]])
        shaven = np.array([face is None or beard(face) <= SHAVEN for face in faces])
        out |= shaven[:, None] & bearded
    return out & ~out.all(1, keepdims=True)


def _eyes(descriptors: np.ndarray, drawn: np.ndarray, known: Statistics) -> np.ndarray:
    """Eyes that are shut where the portrait's are not, or the reverse, and winks of even eyes: bool (B, C).

    Nearly all eyes of a collection are open, so that its usual openness is that of open eyes.
    """
    usual = float(openness(known.means["eyes"][None])[0])
    deviation = float(known.deviations["eyes"][PROPORTIONS][0])  # of the logarithm of width over height
    shown, of = openness(descriptors)[:, None], openness(drawn)
    are_shut = shown <= usual * min(_EYES[0], np.exp(-_RARE * deviation))
    out = ((shown >= _EYES[1] * usual) & (of <= _SHUT)) | (are_shut & (of >= _AWAKE))
    return out | ((evenness(descriptors)[:, None] >= _EVEN) & (evenness(drawn) <= _WINK))


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
