"""A face's mask and its fading border, and faces put into frames."""

import cv2
import numpy as np

from facemill.config.swap import Blend
from facemill.data.classes import IGNORE
from facemill.swap.alignment import Box
from facemill.swap.faces import FACE

_SPECKLE = 32  # of a crop's side: spots are removed, and gaps closed, that are this part of it
_BEYOND = 8  # pixels by which a face is extended beyond the frame's border, so that its colors are not held there
_MARGIN = _BEYOND + 2  # pixels around a box, which the Poisson equation needs as its border
_LEAST = 3  # pixels of the height and width of a region that has an inside


def face_alpha(mask: np.ndarray, drawn: np.ndarray, feather: float) -> np.ndarray:
    """How much of a drawn face is seen, in its crop: all of it inside, and less and less towards its border.

    It is seen where the picture shows a face and the face is drawn: hair and hands stay in front. Spots are removed
    and gaps closed. The border of the frame is none of the face: it does not fade there.

    Args:
        mask: what the picture shows, ids of `SEVEN`, uint8 (S, S); `IGNORE` beyond the frame.
        drawn: probability that the drawn face is there, float32 (S, S).
        feather: width of the border, which lies inside, as a share of the crop's side.

    Returns:
        float32 (S, S) in 0 to 1; 0 at the crop's border within the frame.
    """
    side = len(mask)
    beyond = mask == IGNORE
    region = ((np.isin(mask, FACE) & (drawn > 0.5)) | beyond).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * (side // _SPECKLE // 2) + 1,) * 2)
    for operation in (cv2.MORPH_OPEN, cv2.MORPH_CLOSE):
        region = cv2.morphologyEx(region, operation, kernel)
    region |= beyond
    region[[0, -1]] &= beyond[[0, -1]]
    region[:, [0, -1]] &= beyond[:, [0, -1]]
    inside = cv2.distanceTransform(region, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    share = np.clip(inside / max(feather * side, 1), 0, 1)
    return share * share * (3 - 2 * share)  # without a corner where it begins and ends


def blend_face(pixels: np.ndarray, patch: np.ndarray, alpha: np.ndarray, box: Box, blend: Blend) -> None:
    """Puts a face into a frame; pixels whose alpha is 0 stay as they are.

    Args:
        pixels: the frame, uint8 RGB (H, W, 3), which is changed.
        patch: the face, float32 RGB (h, w, 3) in 0 to 255.
        alpha: how much of it is seen, float32 (h, w).
        box: its place in the frame.
        blend: `poisson` first gives the face the colors around it: Perez et al. 2003,
            https://doi.org/10.1145/1201775.882269
    """
    x0, y0, x1, y1 = box
    place = pixels[y0:y1, x0:x1]
    if blend == "poisson":
        patch = _in_colors_around(place, patch, alpha > 0)
    mixed = place + alpha[..., None] * (patch - place)
    place[:] = np.rint(mixed)


def _in_colors_around(place: np.ndarray, patch: np.ndarray, region: np.ndarray) -> np.ndarray:
    """The patch with its gradients and, at the region's border, the colors of the place: float32 (h, w, 3).

    Where the region reaches the place's border, which is the frame's there, no colors are given.
    """

    def enlarged(pixels: np.ndarray, by: int) -> np.ndarray:
        return cv2.copyMakeBorder(pixels, by, by, by, by, cv2.BORDER_REPLICATE)

    mask = np.pad(enlarged(region.astype(np.uint8) * 255, _BEYOND), _MARGIN - _BEYOND)
    x, y, width, height = cv2.boundingRect(mask)
    if min(width, height) < _LEAST:
        return patch
    source, target = enlarged(np.rint(patch).astype(np.uint8), _MARGIN), enlarged(place, _MARGIN)
    cloned = cv2.seamlessClone(source, target, mask, (x + width // 2, y + height // 2), cv2.NORMAL_CLONE)
    return cloned[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN].astype(np.float32)
