"""Definitions of drawing styles that others wrote: read with care, refused where they would draw without end."""

import json
from pathlib import Path

from facemill.errors import UserError

_MAX_BYTES = 8 << 20  # the largest of DiceBear's definitions has 1 MB
_MAX_SHAPES = 20_000  # of the largest figure: nested components multiply
_REFUSED = ("use", "symbol", "image", "filter", "marker", "pattern", "svg")  # DiceBear's faces use none


def read_definition(path: Path) -> dict:
    """What a JSON file holds; raises `UserError` when it cannot be read."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UserError(f"{path}: larger than {_MAX_BYTES >> 20} MB; accepted: a smaller style definition")
        definition = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; accepted: a style definition (JSON)") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: is no JSON ({error}); accepted: a style definition of DiceBear's schema") from None
    return definition


def check_figures(definition: dict) -> None:
    """Raises `ValueError` where figures would be endless or immense, though DiceBear's schema allows them.

    These are components that contain themselves or multiply, and elements that repeat others or unpack images.
    """
    components = definition.get("components", {})
    sizes: dict[str, int] = {}

    def size(elements: list[dict], outer: tuple[str, ...]) -> int:
        """The shapes that these elements draw at most; `outer` are the components that they lie in."""
        total = 0
        for element in elements:
            if element.get("name") in _REFUSED or str(element.get("name")).startswith("fe"):
                raise ValueError(f"element {element['name']!r}")
            total += component(element["name"], outer) if element["type"] == "component" else 1
            total += size(element.get("children", []), outer)
        return total

    def component(name: str, outer: tuple[str, ...]) -> int:
        """The shapes of a component's largest variant."""
        if name in outer:
            raise ValueError(f"component {name!r} contains itself")
        if name not in sizes:
            entry = components.get(name, {})
            variants = components.get(entry.get("extends"), entry).get("variants", {}).values()
            sizes[name] = max((size(variant["elements"], (*outer, name)) for variant in variants), default=0)
        return sizes[name]

    if (shapes := size(definition["canvas"]["elements"], ())) > _MAX_SHAPES:
        raise ValueError(f"figures of {shapes} shapes, over {_MAX_SHAPES}")
