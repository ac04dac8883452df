"""Which component of a drawing style each pixel of a figure shows."""

import io
import re
from xml.etree import ElementTree

import cv2
import numpy as np
import resvg_py
from PIL import Image

from facemill.avatars.styles import DrawingStyle
from facemill.data.classes import ROLES, Role

BASE = 1
"""The id of the base in a part map: what a style draws outside of its components."""

_CLASSES: dict[str, Role] = {
    "eye": "eye",
    "rearHair": "hair",
    "frontHair": "hair",
    "sideburns": "hair",
    "beard": "hair",
    "facialHair": "hair",
    "mustache": "hair",
    "hairAccessories": "hair",
    "ears": "skin",
    "earrings": "skin",
    "neck": "skin",
    "body": "skin",
    "clothesGraphic": "clothes",
    "hat": "clothes",
}
"""The class of a component by its name; main components have that of their role, others are `face`."""

_ROLE_CLASSES: dict[str, Role] = {"eyes": "eye", "mouth": "mouth", "hair": "hair", "clothes": "clothes"}
_MIN_SHARE = 1 / 4096  # of the picture
_SVG = "{http://www.w3.org/2000/svg}"
_COMPONENT = re.compile(r"([A-Za-z0-9]+)-([A-Za-z0-9]+)-[0-9a-f]+$")
_UNPAINTED = {_SVG + tag for tag in ("mask", "clipPath", "linearGradient", "radialGradient", "style")}
_DROPPED = ("opacity", "fill-opacity", "stroke-opacity", "filter", "mix-blend-mode", "shape-rendering")


def picture(svg: str, size: int) -> np.ndarray:
    """The figure, uint8 RGBA (size, size, 4); one that is not square lies in the middle."""
    png = resvg_py.svg_to_bytes(svg_string=svg, width=size, height=size, skip_system_fonts=True)
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))
    missing = [size - side for side in pixels.shape[:2]]
    return np.pad(pixels, [*((m // 2, m - m // 2) for m in missing), (0, 0)]) if any(missing) else pixels


def over(rgba: np.ndarray, color: tuple[int, int, int] = (255, 255, 255)) -> np.ndarray:
    """The picture over a plain background, uint8 RGB (H, W, 3)."""
    alpha = rgba[..., 3:].astype(np.float32) / 255
    return (rgba[..., :3] * alpha + np.array(color, np.float32) * (1 - alpha) + 0.5).astype(np.uint8)


def part_map(svg: str, style: DrawingStyle, size: int) -> np.ndarray:
    """The component that each pixel's center shows, without specks: uint8 (size, size).

    0: nothing; 1: the base, what the style draws outside of components; from 2 on: `style.components` in order.

    Args:
        svg: a figure as `style.svg` draws it; a background of one color is nothing.
        style: its style.
        size: width and height.
    """
    return _without_specks(*_ids(svg, style, size, skin=None), _class_ids(style))


def seven_mask(svg: str, style: DrawingStyle, size: int) -> np.ndarray:
    """The class of each pixel, ids of `SEVEN`, uint8 (size, size); arguments as those of `part_map`.

    A component that is hair and head in one is told apart by its colors, one that is eyes and mouth by its middle.
    """
    classes = _class_ids(style)
    skin, classes = len(classes), np.append(classes, np.uint8(ROLES.index("face")))
    parts = _without_specks(*_ids(svg, style, size, skin), classes)
    mask = classes[parts]
    if "expression" in style.components:
        rows, columns = np.nonzero(parts == _id(style, "expression"))
        upper = rows < (rows.min(initial=size) + rows.max(initial=0)) / 2
        mask[rows[upper], columns[upper]] = ROLES.index("eye")
    return mask


def _id(style: DrawingStyle, component: str) -> int:
    return BASE + 1 + list(style.components).index(component)


def _class_ids(style: DrawingStyle) -> np.ndarray:
    """The class of each id of a part map, uint8 (2 + components,)."""
    mains = {names[0]: _ROLE_CLASSES.get(role, "face") for role, names in style.roles.items()}
    classes = [mains.get(name) or _CLASSES.get(name, "face") for name in style.components]
    body = "clothes" if "clothes" in style.color_options and "clothes" not in style.roles else "skin"
    base = body if {"head", "face"} & set(style.components) else "face"
    return np.array([ROLES.index(role) for role in ["background", base, *classes]], np.uint8)


def _ids(svg: str, style: DrawingStyle, size: int, skin: int | None) -> tuple[np.ndarray, np.ndarray]:
    """As `part_map`, with specks; and where colors of several parts are mixed, uint8 (size, size), 1 there.

    Where a component is hair and head in one, its skin is `skin`, if given.
    """
    root = ElementTree.fromstring(svg)
    for group in root.iterfind(f"{_SVG}g"):
        group.attrib.pop("clip-path", None)  # to the picture: needless
        _drop_background(group, style)
    _paint(root)
    root.set("color", _color(BASE))
    root.set("fill", root.get("fill", "currentColor"))
    root.set("shape-rendering", "crispEdges")
    for group in root.iterfind(f"{_SVG}defs/{_SVG}g"):
        if (match := _COMPONENT.match(group.get("id", ""))) and match[1] in style.components:
            group.set("color", _color(_id(style, match[1])))
            if skin is not None and match[1] == style.roles.get("hair", ("",))[0] == "head":
                for shape in _skin(group, style.definition["components"]["head"]["variants"][match[2]]["elements"]):
                    shape.set("color", _color(skin))
    red, green, blue, alpha = picture(ElementTree.tostring(root, encoding="unicode"), size).transpose(2, 0, 1)
    ids = np.where(alpha >= 128, (red & 0xF0) | (green >> 4), 0).astype(np.uint8)
    mixed = (alpha >= 128) & (np.abs(blue.astype(int) - _blue(ids)) > 4)
    return ids, mixed.astype(np.uint8)


def _skin(group: ElementTree.Element, elements: list[dict]) -> list[ElementTree.Element]:
    """The shapes of a component's variant that its definition gives the color `skin`."""
    fills = [element.get("attributes", {}).get("fill") for element in elements if element["type"] == "element"]
    shapes = [child for child in group if child.tag != f"{_SVG}use"]  # of a component, which may be hidden
    return [shape for shape, fill in zip(shapes, fills, strict=True) if fill == {"type": "color", "name": "skin"}]


def _drop_background(group: ElementTree.Element, style: DrawingStyle) -> None:
    """Removes the rectangle that DiceBear draws of `backgroundColor`, before all that the style draws."""
    first, drawn = next(iter(group), None), style.definition["canvas"]["elements"][0].get("name") == "rect"
    if first is not None and first.tag == f"{_SVG}rect" and first.keys() == ["width", "height", "fill"] and not drawn:
        group.remove(first)


def _color(part: int) -> str:
    """The color of a part: four bits in red and four in green, each in the middle of its range; blue checks them."""
    return f"#{(part & 0xF0) | 8:02x}{(part & 0x0F) << 4 | 8:02x}{int(_blue(np.array(part))):02x}"


def _blue(part: np.ndarray) -> np.ndarray:
    return part.astype(int) * 151 % 251


def _paint(element: ElementTree.Element) -> None:
    """Gives all that is drawn the current color, opaque; makes masks hide or show, nothing between."""
    if element.tag in _UNPAINTED:
        if element.tag == f"{_SVG}mask":
            _paint_mask(element)
        return
    for declaration in element.attrib.pop("style", "").split(";"):
        name, _, value = declaration.partition(":")
        if value:
            element.set(name.strip(), value.strip())
    if element.get("opacity") == "0":
        element.set("display", "none")
    for name in ("fill", "stroke"):
        if element.get(name, "none") != "none":
            element.set(name, "none" if element.get(f"{name}-opacity") == "0" else "currentColor")
    for name in _DROPPED:
        element.attrib.pop(name, None)
    for child in element:
        _paint(child)


def _paint_mask(mask: ElementTree.Element) -> None:
    """Makes white, opaque, all that is not black in a mask."""
    for element in mask.iter():
        for name in _DROPPED:
            element.attrib.pop(name, None)
        for name in ("fill", "stroke"):
            if element.get(name, "none") not in ("none", "black", "#000", "#000000"):
                element.set(name, "#ffffff")


def _without_specks(parts: np.ndarray, mixed: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Fills regions below 1/4096 of the picture, bits of an outline under another one, from the nearest pixels.

    Mixed pixels, too. Eyes and mouths may be that small. The sample's portraits are cleared by the same rule.
    """
    specks = mixed.copy()
    for part in np.unique(parts[mixed == 0]):
        if ROLES[classes[part]] not in ("eye", "mouth"):
            _, pieces, stats, _ = cv2.connectedComponentsWithStats((parts == part).astype(np.uint8), connectivity=8)
            small = stats[:, cv2.CC_STAT_AREA] < parts.size * _MIN_SHARE
            specks |= ((pieces > 0) & small[pieces]).astype(np.uint8)
    if not specks.any() or specks.all():
        return parts
    _, nearest = cv2.distanceTransformWithLabels(specks, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    values = np.zeros(nearest.max() + 1, np.uint8)
    values[nearest[specks == 0]] = parts[specks == 0]
    return values[nearest]
