"""The format of labelme's JSON files: read, checked, rasterized exactly as labelme does it, and written.

Format and rasterization: https://github.com/wkentaro/labelme, `labelme/_label_file.py` and `labelme/utils/shape.py`
(versions 3.0.0, without sizes and shape types, up to 6). Of X-AnyLabeling's dialect, which labels the same files
(https://github.com/CVHub520/X-AnyLabeling), rotated boxes, quadrilaterals and boxes of four corners are read.
"""

import base64
import io
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from PIL import Image, ImageDraw, ImagePath

from facemill.data.image_files import check_pixels
from facemill.data.json_faults import malformed
from facemill.data.text import read_text

VERSION = "6.3.1"
"""The version of labelme whose format is written."""

POINTS: dict[str, tuple[int, float]] = {
    "polygon": (3, math.inf),
    "rectangle": (2, 2),
    "circle": (2, 2),
    "line": (2, 2),
    "linestrip": (2, math.inf),
    "point": (1, 1),
    "mask": (2, 2),
    "oriented_rectangle": (4, 4),
}
"""The least and the greatest number of points of each of labelme's shape types."""

DIALECT: dict[str, tuple[int, float]] = {"rotation": (4, 4), "quadrilateral": (4, 4)}
"""The same of X-AnyLabeling's others, drawn as polygons; its rectangles may have their four corners, too."""

LINE_WIDTH, POINT_RADIUS = 10, 5
"""labelme's defaults, in pixels, for lines and points."""


class Shape(msgspec.Struct, frozen=True, gc=False):
    """A shape: `points` are (x, y) in pixels, `mask` is a base64 PNG that fills the box between its two points.

    A type of None, which labelme 3 writes, means a polygon.
    """

    label: str
    points: list[tuple[float, float]]
    shape_type: str | None = None
    mask: str | None = None

    def __post_init__(self) -> None:
        """Refuses other types, in words that `msgspec` makes part of its own."""
        if self.shape_type is not None and self.shape_type not in POINTS | DIALECT:
            raise ValueError(f"unknown shape_type {self.shape_type!r}; accepted: {', '.join(POINTS | DIALECT)}")


class Annotation(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The content of a labelme file; sizes are in pixels."""

    shapes: list[Shape]
    image_path: str | None = None
    image_data: str | None = None
    image_height: float | None = None  # which scripts write as 96.0
    image_width: float | None = None


class _RawShapes(msgspec.Struct):
    """An annotation whose shapes are still JSON, so that each invalid one can be named."""

    shapes: list[msgspec.Raw]


_decoder = msgspec.json.Decoder(Annotation)


def read(path: Path) -> tuple[Annotation | None, list[str]]:
    """The annotation in a file, or None and what is wrong with the file's form."""
    content = b""
    try:
        content = read_text(path).encode()
        return _decoder.decode(content), []
    except msgspec.ValidationError as error:
        return None, list(_invalid_shapes(content)) or [f"not a labelme file: {error}"]
    except msgspec.DecodeError as error:
        return None, [f"not a labelme file: {malformed(content) or error}"]
    except (OSError, ValueError, RecursionError) as error:
        return None, [f"not a labelme file: {error}"]


def _invalid_shapes(content: bytes) -> Iterator[str]:
    try:
        shapes = msgspec.json.decode(content, type=_RawShapes).shapes
    except (msgspec.DecodeError, RecursionError):  # no list of shapes, or no JSON after the first invalid value
        return
    for number, shape in enumerate(shapes):
        try:
            msgspec.json.decode(shape, type=Shape)
        except msgspec.DecodeError as error:
            yield f"shape {number}: {error}"


class Problems(NamedTuple):
    """Problems of an annotation: with errors it cannot be rasterized, with warnings it can."""

    errors: list[str]
    warnings: list[str]


def check(annotation: Annotation, size: tuple[int, int], labels: Collection[str], tolerance: float) -> Problems:
    """Checks an annotation against its image and the accepted labels.

    Errors: another size in the file than the image's, no shape, an unknown label, a number of points that the shape
    type does not accept, points too far outside the image, a mask of another size than its box. Warnings: points
    outside the image within the tolerance, which rasterization clips. Messages count shapes from 0, as the file does.

    Args:
        annotation: what `read` returns.
        size: the image's (height, width), in pixels.
        labels: the labels that are accepted.
        tolerance: pixels that a point may lie outside the image.
    """
    problems = Problems([], [])
    stated = (annotation.image_height or size[0], annotation.image_width or size[1])
    if stated != size:
        problems.errors.append(
            f"imageHeight, imageWidth are {stated[0]:g}, {stated[1]:g}; the image's are {size[0]}, {size[1]}"
        )
    if not annotation.shapes:
        problems.errors.append("no shape in it; a portrait without labels would be all background")
    for label in dict.fromkeys(shape.label for shape in annotation.shapes if shape.label not in labels):
        accepted = f"in labels.merge and labels.ignore: {', '.join(labels)}"
        problems.errors.append(f"unknown label {label!r}; accepted, {accepted}")
    for number, shape in enumerate(annotation.shapes):
        _check_shape(f"shape {number} ({shape.label!r})", shape, size, tolerance, problems)
    return problems


def _check_shape(name: str, shape: Shape, size: tuple[int, int], tolerance: float, problems: Problems) -> None:
    shape_type = shape.shape_type or "polygon"
    min_points, max_points = (POINTS | DIALECT)[shape_type]
    if shape_type == "rectangle" and len(shape.points) == 4:
        if not _are_corners(shape.points, tolerance):
            problems.errors.append(f"{name}: 4 points that are no corners of an upright box; accepted: these, or 2")
    elif not min_points <= len(shape.points) <= max_points:
        accepted = f"{min_points} or more" if max_points == math.inf else str(min_points)
        problems.errors.append(f"{name}: {len(shape.points)} points; a {shape_type} has {accepted}")
        return
    height, width = size
    left, top, right, bottom = ImagePath.Path(shape.points).getbbox()
    outside = max(-left, -top, right - width, bottom - height)
    if outside > 0:
        x, y = max(shape.points, key=lambda p: max(-p[0], -p[1], p[0] - width, p[1] - height))
        message = f"{name}: point ({x:g}, {y:g}) outside the image of {width} x {height} pixels"
        if outside > tolerance:
            problems.errors.append(f"{message}; accepted: up to {tolerance:g} pixels, which are clipped")
        else:
            problems.warnings.append(f"{message}, clipped")
    if shape_type == "mask":
        try:
            _check_shape_mask(shape)
        except ValueError as error:
            problems.errors.append(f"{name}: {error}")


def _are_corners(points: Sequence[tuple[float, float]], tolerance: float) -> bool:
    """Whether the box of points has one at each corner, within the tolerance in pixels."""
    left, top, right, bottom = ImagePath.Path(points).getbbox()
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return all(min(math.dist(corner, point) for point in points) <= tolerance for corner in corners)


def _check_shape_mask(shape: Shape) -> None:
    (left, top), (right, bottom) = ((int(x), int(y)) for x, y in shape.points)
    width, height = right - left + 1, bottom - top + 1
    mask = decode_shape_mask(shape)
    if mask.size != (width, height):
        raise ValueError(f"mask of {mask.width} x {mask.height} pixels in a box of {width} x {height}")


def decode_shape_mask(shape: Shape) -> Image.Image:
    """The mask of a shape of type `mask`, as a 1-bit image. Raises `ValueError` when it is missing or broken."""
    try:
        with Image.open(io.BytesIO(decode_base64(shape.mask or ""))) as picture:
            check_pixels(picture)
            return Image.fromarray(np.asarray(picture).astype(bool))
    except (OSError, SyntaxError, ValueError, TypeError, Image.DecompressionBombError) as error:
        raise ValueError("its mask is not a PNG of one channel in base64") from error


def decode_base64(text: str) -> bytes:
    """The bytes of base64, also in lines, or as a data URI. Raises `ValueError` when it is none."""
    if text.startswith("data:"):
        text = text.partition("base64,")[2]
    return base64.b64decode("".join(text.split()), validate=True)


def draw(shapes: Sequence[Shape], size: tuple[int, int], values: Mapping[str, int]) -> np.ndarray:
    """Rasterizes shapes, later ones over earlier ones, on a canvas of zeros: uint8 (height, width).

    The pixels are those of labelme's `shapes_to_label`, which makes a mask for each shape.

    Args:
        shapes: those of an annotation for which `check` returns no error.
        size: the image's (height, width), in pixels.
        values: the pixel value of each label, 0 to 255.
    """
    mask = np.zeros(size, np.uint8)
    canvas = Image.frombuffer("L", size[::-1], mask, "raw", "L", 0, 1)
    canvas.readonly = 0  # Pillow writes into the array, without a copy there and back
    pen = ImageDraw.Draw(canvas)
    for shape in shapes:
        value, points = values[shape.label], shape.points
        match shape.shape_type:
            case "polygon" | "oriented_rectangle" | "rotation" | "quadrilateral" | None:
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


def as_labelme(image: str, size: tuple[int, int], polygons: Iterable[tuple[str, np.ndarray]]) -> dict[str, Any]:
    """The content of a labelme file.

    Args:
        image: the name of the image, which lies beside the file.
        size: the image's (height, width), in pixels.
        polygons: labels and vertices, numbers (N, 2) of (x, y); later polygons lie over earlier ones.
    """
    polygon: dict[str, Any] = {"group_id": None, "description": "", "shape_type": "polygon", "flags": {}, "mask": None}
    return {
        "version": VERSION,
        "flags": {},
        "shapes": [{"label": label, "points": points.astype(float).tolist()} | polygon for label, points in polygons],
        "imagePath": image,
        "imageData": None,
        "imageHeight": size[0],
        "imageWidth": size[1],
    }
