"""Masks as polygons that people can edit, and thin or small regions given to what lies around them."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw

TOLERANCES = (0.9, 0.7, 0.5, 0.35)
"""How far, in pixels, a simplified outline may leave the exact one: the first that keeps the region is taken."""

CHANGES = (0.01, 0.004, 0.002, 0.001, 0)
"""The share of a region's pixels that simplifying its outline may change: the first that keeps the mask is taken."""

LABELME = "6.3.1"
"""The labelme whose format is written."""

MIN_IOU = 0.995
"""The IoU of every id that simplified polygons, drawn, keep."""


class Region(NamedTuple):
    """A 4-connected region of one id; its arrays are cut to its box, whose corner is at (left, top)."""

    id: int
    left: int
    top: int
    pixels: int
    outline: np.ndarray
    """The outer outline, int32 (N, 2) of (x, y) from the box's corner, without vertices on straight lines."""
    filled: np.ndarray
    """The region without its holes, uint8 (height, width) of 0 and 1."""

    def simplified(self, changed: float) -> np.ndarray:
        """The outline with fewer vertices: int32 (M, 2), M at least 3; drawn, at most `changed` pixels differ."""
        for tolerance in TOLERANCES:
            simple = cv2.approxPolyDP(self.outline[:, None], tolerance, closed=True)[:, 0]
            if len(simple) > 2 and np.count_nonzero(rasterize(simple, self.filled.shape) != self.filled) <= changed:
                return simple
        return self.outline[[*range(len(self.outline)), *[-1] * (3 - len(self.outline))]]

    def draw(self, canvas: np.ndarray, filled: np.ndarray) -> None:
        """Puts the id where `filled`, the region's or one like it, says so: in place."""
        height, width = filled.shape
        canvas[self.top : self.top + height, self.left : self.left + width][filled > 0] = self.id


def polygons(mask: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """The ids in a mask, uint8 (H, W), as polygons to draw one over the other on a canvas of zeros.

    Each is an id and its vertices, int32 (N, 2) of (x, y), at pixel centers; N is at least 3. Drawn with their borders,
    as labelme and Pillow draw them, they keep `MIN_IOU` of every id; no outline leaves the exact one by a pixel.

    Every 4-connected region is one polygon, its outer outline, and polygons with larger outlines come first. A hole
    needs no shape of its own: what lies in it has a smaller outline and is drawn later, background too. (Of two
    4-connected regions at most one encloses the other, so that the order always exists.)
    """
    shown, canvas = [], np.zeros_like(mask)
    for region in sorted(regions(mask), key=lambda region: -int(region.filled.sum())):
        before = canvas.copy()
        region.draw(canvas, region.filled)
        if (canvas != before).any():  # else it shows already: the background around everything
            shown.append(region)
    for change in CHANGES:
        outlines = [region.simplified(change * region.pixels) for region in shown]
        canvas = np.zeros_like(mask)
        for region, outline in zip(shown, outlines, strict=True):
            region.draw(canvas, rasterize(outline, region.filled.shape))
        if all(_iou(canvas == id, mask == id) >= MIN_IOU for id in np.unique(mask)):
            break
    return [
        (region.id, outline + np.array([region.left, region.top], np.int32))
        for region, outline in zip(shown, outlines, strict=True)
    ]


def regions(mask: np.ndarray) -> Iterator[Region]:
    """The 4-connected regions of a mask, uint8 (H, W), id by id."""
    for id in np.unique(mask):
        count, pieces, boxes, _ = cv2.connectedComponentsWithStats((mask == id).astype(np.uint8), connectivity=4)
        for piece in range(1, count):
            left, top, width, height, pixels = boxes[piece].tolist()
            own = (pieces[top : top + height, left : left + width] == piece).astype(np.uint8)
            [outline], _ = cv2.findContours(own, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
            outline = outline[:, 0]
            yield Region(int(id), left, top, pixels, outline, rasterize(outline, own.shape))


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    return np.count_nonzero(a & b) / np.count_nonzero(a | b)


def rasterize(outline: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An outline, int (N, 2), filled with its border: uint8 (height, width) of 0 and 1."""
    canvas = Image.new("L", size[::-1])
    points = [*outline.ravel().tolist(), *outline[-1].tolist() * 2]  # never fewer than three
    ImageDraw.Draw(canvas).polygon(points, fill=1, outline=1)
    return np.asarray(canvas)


def as_labelme(image: str, size: tuple[int, int], shapes: Iterable[tuple[str, np.ndarray]]) -> dict:
    """What a labelme file holds for an image of that name and of `size` (height, width), in pixels.

    `shapes` are polygons: labels and vertices, numbers (N, 2) of (x, y); later ones lie over earlier ones. Format:
    https://github.com/wkentaro/labelme, `labelme/_label_file.py`.
    """
    polygon = {"group_id": None, "description": "", "shape_type": "polygon", "flags": {}, "mask": None}
    return {
        "version": LABELME,
        "flags": {},
        "shapes": [{"label": label, "points": points.astype(float).tolist()} | polygon for label, points in shapes],
        "imagePath": image,
        "imageData": None,
        "imageHeight": size[0],
        "imageWidth": size[1],
    }


def without_specks(mask: np.ndarray, least: int) -> np.ndarray:
    """The mask with its 4-connected regions of fewer than `least` pixels given to the nearest others: uint8 (H, W)."""
    small = np.zeros(mask.shape, bool)
    for id in np.unique(mask):
        _, pieces, boxes, _ = cv2.connectedComponentsWithStats((mask == id).astype(np.uint8), connectivity=4)
        small |= (mask == id) & (boxes[pieces, cv2.CC_STAT_AREA] < least)
    return from_nearest(mask, small)


def close_gaps(mask: np.ndarray, unknown: np.ndarray, width: int) -> np.ndarray:
    """The mask with what is narrower than `width` pixels of `unknown`, bool (H, W), given to what lies nearest."""
    square = np.ones((width, width), np.uint8)
    inside = cv2.copyMakeBorder(unknown.astype(np.uint8), width, width, width, width, cv2.BORDER_REPLICATE)
    wide = cv2.morphologyEx(inside, cv2.MORPH_OPEN, square)[width:-width, width:-width]
    return from_nearest(mask, unknown & (wide == 0))


def from_nearest(mask: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The mask, uint8 (H, W), where `where` with the values of the nearest pixels elsewhere; all, if all is unknown."""
    if where.all():
        return mask
    _, nearest = cv2.distanceTransformWithLabels(
        where.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    values = np.zeros(nearest.max() + 1, np.uint8)
    values[nearest[~where]] = mask[~where]
    return values[nearest]
