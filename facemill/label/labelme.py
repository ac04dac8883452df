"""labelme's JSON files: reading, checking, and drawing their shapes exactly as labelme draws them.

Format and drawing: https://github.com/wkentaro/labelme, `labelme/_label_file.py` and `labelme/utils/shape.py`
(versions 3.0.0, without sizes and shape types, up to 6).
"""

import base64
import binascii
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import Literal

import msgspec
import numpy as np
from PIL import Image, ImageDraw

ShapeType = Literal["polygon", "rectangle", "circle", "line", "linestrip", "point", "mask", "oriented_rectangle"]

POINTS: dict[ShapeType, tuple[int, float]] = {
    "polygon": (3, math.inf),
    "rectangle": (2, 2),
    "circle": (2, 2),
    "line": (2, 2),
    "linestrip": (2, math.inf),
    "point": (1, 1),
    "mask": (2, 2),
    "oriented_rectangle": (4, 4),
}
"""The least and greatest number of points of each shape type."""

LINE_WIDTH, POINT_RADIUS = 10, 5
"""labelme's defaults, in pixels, for lines and points."""

OUTSIDE = 1.0
"""How many pixels a point may lie outside the image; drawing clips it."""

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


class Shape(msgspec.Struct, frozen=True):
    """One shape: `points` are (x, y) in pixels, `mask` a base64 PNG filling the box between its two points."""

    label: str
    points: list[tuple[float, float]]
    shape_type: ShapeType = "polygon"
    mask: str | None = None


class Annotation(msgspec.Struct, frozen=True, rename="camel"):
    """One labelme file; sizes are in pixels."""

    shapes: list[Shape]
    image_path: str | None = None
    image_data: str | None = None
    image_height: int | None = None
    image_width: int | None = None


class _Unread(Annotation, frozen=True, rename="camel"):
    """An annotation whose shapes are still JSON, so that each faulty one can be named."""

    shapes: list[msgspec.Raw]


def read(path: Path) -> tuple[Annotation | None, list[str]]:
    """The annotation in a file and the faults of its form; None when any shape of it cannot be read.

    A shape type of null, or none at all (labelme 3), is a polygon.
    """
    try:
        unread = msgspec.json.decode(path.read_bytes(), type=_Unread)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        return None, [f"not a labelme file: {error}"]
    shapes, faults = [], []
    for number, raw in enumerate(unread.shapes):
        try:
            content = msgspec.json.decode(raw)
            if isinstance(content, dict) and content.get("shape_type", ...) is None:
                del content["shape_type"]
            shapes.append(msgspec.convert(content, Shape))
        except msgspec.ValidationError as error:
            faults.append(f"shape {number}: {error}")
    if faults:
        return None, faults
    return msgspec.structs.replace(Annotation(shapes), **{f: getattr(unread, f) for f in _UNCHANGED}), []


_UNCHANGED = [field for field in Annotation.__struct_fields__ if field != "shapes"]


def faults(annotation: Annotation, size: tuple[int, int], labels: Mapping[str, int]) -> Iterator[str]:
    """Yields what keeps an annotation from being drawn on its image, of `size` (height, width), in pixels.

    A label that `labels` does not have, a number of points that the shape type does not accept, points more than
    `OUTSIDE` outside the image, a mask that does not fill its box, another size in the file than the image's.
    Shapes are counted from 0, as in the file.
    """
    named = (annotation.image_height or size[0], annotation.image_width or size[1])
    if named != size:
        yield f"imageHeight, imageWidth are {named[0]}, {named[1]}; the image's are {size[0]}, {size[1]}"
    if not annotation.shapes:
        yield "no shape in it; a portrait without labels would be all background"
    for number, shape in enumerate(annotation.shapes):
        for fault in _shape_faults(shape, size, labels):
            yield f"shape {number} ({shape.label}): {fault}"


def _shape_faults(shape: Shape, size: tuple[int, int], labels: Mapping[str, int]) -> Iterator[str]:
    if shape.label not in labels:
        yield f"unknown label; accepted: {', '.join(labels)}"
    least, most = POINTS[shape.shape_type]
    if not least <= len(shape.points) <= most:
        accepted = f"{least} or more" if most == math.inf else str(least)
        yield f"{len(shape.points)} points; a {shape.shape_type} has {accepted}"
        return
    height, width = size
    far = [(x, y) for x, y in shape.points if not (_inside(x, width) and _inside(y, height))]
    if far:
        yield f"point ({far[0][0]:g}, {far[0][1]:g}) outside the image of {width} x {height} pixels"
    if shape.shape_type == "mask":
        (left, top), (right, bottom) = np.asarray(shape.points).astype(int)
        try:
            found = decode_shape_mask(shape).size
        except ValueError as error:
            yield str(error)
        else:
            if found != (right - left + 1, bottom - top + 1):
                yield f"mask of {found[0]} x {found[1]} pixels in a box of {right - left + 1} x {bottom - top + 1}"


def _inside(place: float, length: int) -> bool:
    return -OUTSIDE <= place <= length + OUTSIDE


def decode_shape_mask(shape: Shape) -> Image.Image:
    """The mask of a shape of type `mask`, as a 1-bit image; raises `ValueError` when it is missing or broken."""
    try:
        with Image.open(io.BytesIO(base64.b64decode(shape.mask or "", validate=True))) as picture:
            return Image.fromarray(np.asarray(picture).astype(bool))
    except (binascii.Error, OSError) as error:
        raise ValueError("its mask is not a PNG in base64") from error


def draw(shapes: Sequence[Shape], size: tuple[int, int], values: Mapping[str, int]) -> np.ndarray:
    """Draws shapes, later over earlier, on one canvas of zeros: uint8 (height, width).

    `values` gives the pixel value, 0 to 255, of each label. The same pixels as labelme's `shapes_to_label`, which
    makes a mask for each shape instead. `faults` must have found none.
    """
    canvas = Image.new("L", (size[1], size[0]))
    pen = ImageDraw.Draw(canvas)
    for shape in shapes:
        value, points = values[shape.label], shape.points
        match shape.shape_type:
            case "polygon" | "oriented_rectangle":
                pen.polygon(points, fill=value, outline=value)
            case "rectangle":
                (x0, y0), (x1, y1) = points
                pen.rectangle((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), fill=value, outline=value)
            case "circle":
                (x0, y0), (x1, y1) = points
                _disc(pen, points[0], math.sqrt((x0 - x1) ** 2 + (y0 - y1) ** 2), value)
            case "point":
                _disc(pen, points[0], POINT_RADIUS, value)
            case "line" | "linestrip":
                pen.line(points, fill=value, width=LINE_WIDTH)
            case "mask":
                left, top = np.asarray(points[0]).astype(int)
                canvas.paste(value, (int(left), int(top)), decode_shape_mask(shape))
    return np.asarray(canvas)


def _disc(pen: ImageDraw.ImageDraw, center: tuple[float, float], radius: float, value: int) -> None:
    x, y = center
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=value, outline=value)


def find_image(path: Path, annotation: Annotation) -> Path | bytes | None:
    """Where the annotated image is: embedded, at `imagePath` beside the file, or beside it under the same stem."""
    if annotation.image_data:
        try:
            return base64.b64decode(annotation.image_data, validate=True)
        except binascii.Error:
            return None
    names = [PureWindowsPath(annotation.image_path).as_posix()] if annotation.image_path else []
    names += [path.stem + suffix for suffix in IMAGE_SUFFIXES]
    return next((image for name in names if (image := path.parent / name).is_file()), None)
