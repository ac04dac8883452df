"""labelme's JSON files: reading, checking, drawing their shapes exactly as labelme draws them, and writing.

Format and drawing: https://github.com/wkentaro/labelme, `labelme/_label_file.py` and `labelme/utils/shape.py`
(versions 3.0.0, without sizes and shape types, up to 6).
"""

import base64
import io
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from PIL import Image, ImageDraw, ImagePath

from facemill.files import write_json
from facemill.imaging.polygons import as_labelme

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

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


class Shape(msgspec.Struct, frozen=True, gc=False):
    """One shape: `points` are (x, y) in pixels, `mask` a base64 PNG filling the box between its two points.

    A type of None, as labelme 3 writes it, is a polygon.
    """

    label: str
    points: list[tuple[float, float]]
    shape_type: ShapeType | None = None
    mask: str | None = None


class Annotation(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """One labelme file; sizes are in pixels."""

    shapes: list[Shape]
    image_path: str | None = None
    image_data: str | None = None
    image_height: int | None = None
    image_width: int | None = None


class _Unread(Annotation, frozen=True, gc=False, rename="camel"):
    """An annotation whose shapes are still JSON, so that each faulty one can be named."""

    shapes: list[msgspec.Raw]


_annotation = msgspec.json.Decoder(Annotation)


def read(path: Path) -> tuple[Annotation | None, list[str]]:
    """The annotation in a file and the faults of its form; None when there is any."""
    try:
        content = path.read_bytes()
        return _annotation.decode(content), []
    except msgspec.ValidationError as error:
        faults = list(_faulty_shapes(content))
        return None, faults or [f"not a labelme file: {error}"]
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        return None, [f"not a labelme file: {error}"]


def _faulty_shapes(content: bytes) -> Iterator[str]:
    try:
        shapes = msgspec.json.decode(content, type=_Unread).shapes
    except msgspec.DecodeError:  # malformed further on than where the first fault was
        return
    for number, raw in enumerate(shapes):
        try:
            msgspec.json.decode(raw, type=Shape)
        except msgspec.DecodeError as error:
            yield f"shape {number}: {error}"


class Findings(NamedTuple):
    """What was found in an annotation: faults keep it from being drawn, warnings do not."""

    faults: list[str]
    warnings: list[str]


def check(annotation: Annotation, size: tuple[int, int], labels: Mapping[str, int], tolerance: float) -> Findings:
    """Looks for what is wrong with an annotation of an image of `size` (height, width), in pixels.

    Faults: another size in the file than the image's, no shape, a label that `labels` does not have, a number of
    points that the shape type does not accept, points more than `tolerance` pixels outside the image, a mask that does
    not fill its box. Warnings: points nearer outside, which drawing clips. Shapes are counted from 0, as in the file.
    """
    found = Findings([], [])
    named = (annotation.image_height or size[0], annotation.image_width or size[1])
    if named != size:
        found.faults.append(f"imageHeight, imageWidth are {named[0]}, {named[1]}; the image's are {size[0]}, {size[1]}")
    if not annotation.shapes:
        found.faults.append("no shape in it; a portrait without labels would be all background")
    for number, shape in enumerate(annotation.shapes):
        _check_shape(f"shape {number} ({shape.label})", shape, size, labels, tolerance, found)
    return found


def _check_shape(
    name: str, shape: Shape, size: tuple[int, int], labels: Mapping[str, int], tolerance: float, found: Findings
) -> None:
    if shape.label not in labels:
        found.faults.append(f"{name}: unknown label; accepted: {', '.join(labels)}")
    kind = shape.shape_type or "polygon"
    least, most = POINTS[kind]
    if not least <= len(shape.points) <= most:
        accepted = f"{least} or more" if most == math.inf else str(least)
        found.faults.append(f"{name}: {len(shape.points)} points; a {kind} has {accepted}")
        return
    height, width = size
    left, top, right, bottom = ImagePath.Path(shape.points).getbbox()
    outside = max(-left, -top, right - width, bottom - height)
    if outside > 0:
        x, y = max(shape.points, key=lambda p: max(-p[0], -p[1], p[0] - width, p[1] - height))
        where = f"{name}: point ({x:g}, {y:g}) outside the image of {width} x {height} pixels"
        if outside > tolerance:
            found.faults.append(f"{where}; accepted: up to {tolerance:g} pixels, which are clipped")
        else:
            found.warnings.append(f"{where}, clipped")
    if kind == "mask":
        left, top, right, bottom = (int(place) for point in shape.points for place in point)
        box = (right - left + 1, bottom - top + 1)
        try:
            filled = decode_shape_mask(shape).size
        except ValueError as error:
            found.faults.append(f"{name}: {error}")
        else:
            if filled != box:
                found.faults.append(f"{name}: mask of {filled[0]} x {filled[1]} pixels in a box of {box[0]} x {box[1]}")


def decode_shape_mask(shape: Shape) -> Image.Image:
    """The mask of a shape of type `mask`, as a 1-bit image; raises `ValueError` when it is missing or broken."""
    try:
        with Image.open(io.BytesIO(base64.b64decode(shape.mask or "", validate=True))) as picture:
            return Image.fromarray(np.asarray(picture).astype(bool))
    except (OSError, SyntaxError, ValueError, TypeError, Image.DecompressionBombError) as error:
        raise ValueError("its mask is not a PNG of one channel in base64") from error


def draw(shapes: Sequence[Shape], size: tuple[int, int], values: Mapping[str, int]) -> np.ndarray:
    """Draws shapes, later over earlier, on one canvas of zeros: uint8 (height, width).

    `values` gives the pixel value, 0 to 255, of each label. The same pixels as labelme's `shapes_to_label`, which
    makes a mask for each shape instead. `check` must have found no fault.
    """
    mask = np.zeros(size, np.uint8)
    canvas = Image.frombuffer("L", size[::-1], mask, "raw", "L", 0, 1)
    canvas.readonly = 0  # drawn on in place, without a copy there and back
    pen = ImageDraw.Draw(canvas)
    for shape in shapes:
        value, points = values[shape.label], shape.points
        match shape.shape_type:
            case "polygon" | "oriented_rectangle" | None:
                pen.polygon(ImagePath.Path(points), fill=value, outline=value)
            case "rectangle":
                pen.rectangle(ImagePath.Path(points).getbbox(), fill=value, outline=value)
            case "circle":
                _disc(pen, points[0], math.dist(*points), value)
            case "point":
                _disc(pen, points[0], POINT_RADIUS, value)
            case "line" | "linestrip":
                pen.line(points, fill=value, width=LINE_WIDTH)
            case "mask":
                canvas.paste(value, (int(points[0][0]), int(points[0][1])), decode_shape_mask(shape))
    return mask


def _disc(pen: ImageDraw.ImageDraw, center: tuple[float, float], radius: float, value: int) -> None:
    x, y = center
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=value, outline=value)


def find_image(path: Path, annotation: Annotation) -> Path | bytes | None:
    """Where the annotated image is: embedded, at `imagePath` beside the file, or beside it under the same stem.

    Raises `ValueError` for an embedded image that is not base64. An `imagePath` that leads out of the file's folder is
    not followed.
    """
    if annotation.image_data:
        try:
            return base64.b64decode(annotation.image_data, validate=True)
        except ValueError as error:
            raise ValueError("imageData is not base64") from error
    names = [PureWindowsPath(annotation.image_path).as_posix()] if annotation.image_path else []
    names += [path.stem + suffix for suffix in IMAGE_SUFFIXES]
    tmp = [Path(name) for name in names if not Path(name).is_absolute() and ".." not in Path(name).parts]
    return next((image for name in tmp if os.path.isfile(image := path.parent / name)), None)


def write(path: Path, image: str, size: tuple[int, int], shapes: Sequence[tuple[str, np.ndarray]]) -> None:
    """Writes a labelme file for the image of that name beside it, of `size` (height, width), in pixels.

    `shapes` are polygons: labels and vertices, numbers (N, 2) of (x, y); later ones lie over earlier ones.
    """
    write_json(path, as_labelme(image, size, shapes))
