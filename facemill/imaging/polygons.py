"""Polygons of a mask's regions, for people to edit; thin and small regions filled from their neighbors."""

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw

TOLERANCES = (0.9, 0.7, 0.5, 0.35)
"""Distances in pixels by which a simplified outline may leave the exact one: the first that keeps the region counts."""

MAX_CHANGES = (0.01, 0.004, 0.002, 0.001, 0)
"""Shares of a region's pixels that simplifying its outline may change: the first that keeps the mask counts."""

MIN_IOU = 0.995
"""The least IoU of every value between the mask and the rasterized polygons."""


class Region(NamedTuple):
    """A 4-connected region of one value; its arrays are cropped to its bounding box, with a corner at (left, top)."""

    value: int
    left: int
    top: int
    area: int
    """In pixels, without the holes."""
    outline: np.ndarray
    """The outer outline, int32 (N, 2) of (x, y) from the box's corner, without vertices on straight lines."""
    filled: np.ndarray
    """The region with its holes filled, uint8 (height, width) of 0 and 1."""

    def simplify(self, max_changed: float) -> np.ndarray:
        """The outline with fewer vertices: int32 (M, 2), M at least 3; rasterized, `max_changed` pixels may differ."""
        for tolerance in TOLERANCES:
            simple = cv2.approxPolyDP(self.outline[:, None], tolerance, closed=True)[:, 0]
            if len(simple) > 2 and np.count_nonzero(rasterize(simple, self.filled.shape) != self.filled) <= max_changed:
                return simple
        missing = max(0, 3 - len(self.outline))  # a region of one or two pixels: its last vertex is repeated
        return np.pad(self.outline, ((0, missing), (0, 0)), mode="edge")

    def paste(self, canvas: np.ndarray, filled: np.ndarray) -> None:
        """Writes the value, in place, where `filled`, uint8 of the box's size, is not 0."""
        height, width = filled.shape
        canvas[self.top : self.top + height, self.left : self.left + width][filled > 0] = self.value


def polygons(mask: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """The regions of a mask as polygons to rasterize one over the other on a canvas of zeros.

    Every 4-connected region is one polygon, its outer outline, and polygons that enclose more pixels come first. A hole
    needs no shape: the regions in it have smaller outlines and come later, those of value 0 too. (Of two 4-connected
    regions at most one encloses the other, so that the order always exists.)

    Args:
        mask: uint8 (H, W).

    Returns:
        Pairs of a value and its vertices, int32 (N, 2) of (x, y) at pixel centers, N at least 3. Rasterized with their
        borders, as labelme and Pillow do it, they keep `MIN_IOU` of every value; no outline leaves the exact one by a
        pixel.
    """
    visible, canvas = [], np.zeros_like(mask)
    for region in sorted(regions(mask), key=lambda region: -int(region.filled.sum())):
        before = canvas.copy()
        region.paste(canvas, region.filled)
        if (canvas != before).any():  # the outermost background is on the canvas already
            visible.append(region)
    for max_change in MAX_CHANGES:
        outlines = [region.simplify(max_change * region.area) for region in visible]
        canvas = np.zeros_like(mask)
        for region, outline in zip(visible, outlines, strict=True):
            region.paste(canvas, rasterize(outline, region.filled.shape))
        if all(_iou(canvas == value, mask == value) >= MIN_IOU for value in np.unique(mask)):
            break
    return [
        (region.value, outline + np.array([region.left, region.top], np.int32))
        for region, outline in zip(visible, outlines, strict=True)
    ]


def regions(mask: np.ndarray) -> Iterator[Region]:
    """The 4-connected regions of a mask, uint8 (H, W), value by value."""
    for value in np.unique(mask):
        count, labels, boxes, _ = cv2.connectedComponentsWithStats((mask == value).astype(np.uint8), connectivity=4)
        for label in range(1, count):
            left, top, width, height, area = boxes[label].tolist()
            pixels = (labels[top : top + height, left : left + width] == label).astype(np.uint8)
            [contour], _ = cv2.findContours(pixels, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
            outline = contour[:, 0]
            yield Region(int(value), left, top, area, outline, rasterize(outline, pixels.shape))


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    return np.count_nonzero(a & b) / np.count_nonzero(a | b)


def rasterize(outline: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """An outline, int (N, 2), filled with its border: uint8 (height, width) of 0 and 1."""
    height, width = size
    canvas = Image.new("L", (width, height))
    points = [*outline.ravel().tolist(), *outline[-1].tolist() * 2]  # Pillow wants three vertices or more
    ImageDraw.Draw(canvas).polygon(points, fill=1, outline=1)
    return np.asarray(canvas)


def without_specks(mask: np.ndarray, min_area: int) -> np.ndarray:
    """The mask with its 4-connected regions below `min_area` pixels filled from the nearest others: uint8 (H, W)."""
    specks = np.zeros(mask.shape, bool)
    for value in np.unique(mask):
        _, labels, boxes, _ = cv2.connectedComponentsWithStats((mask == value).astype(np.uint8), connectivity=4)
        specks |= (mask == value) & (boxes[labels, cv2.CC_STAT_AREA] < min_area)
    return fill_nearest(mask, specks)


def close_gaps(mask: np.ndarray, unlabelled: np.ndarray, width: int) -> np.ndarray:
    """The mask with narrow unlabelled gaps filled from the nearest labelled pixel: uint8 (H, W).

    Args:
        mask: uint8 (H, W).
        unlabelled: bool (H, W).
        width: the gaps filled are narrower than this, in pixels; wider ones are not touched.
    """
    square = np.ones((width, width), np.uint8)
    padded = cv2.copyMakeBorder(unlabelled.astype(np.uint8), width, width, width, width, cv2.BORDER_REPLICATE)
    wide = cv2.morphologyEx(padded, cv2.MORPH_OPEN, square)[width:-width, width:-width]
    return fill_nearest(mask, unlabelled & (wide == 0))


def fill_nearest(mask: np.ndarray, holes: np.ndarray) -> np.ndarray:
    """The mask, uint8 (H, W), with `holes`, bool (H, W), filled from the nearest other pixel; unchanged without any."""
    if holes.all():
        return mask
    _, nearest = cv2.distanceTransformWithLabels(
        holes.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    values = np.zeros(nearest.max() + 1, np.uint8)
    values[nearest[~holes]] = mask[~holes]
    return values[nearest]
