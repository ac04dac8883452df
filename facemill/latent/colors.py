"""The names that hair colours have.

Needs no weights: the mask says where the hair is, its median colour says what it is called.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from skimage.color import deltaE_ciede2000, rgb2lab

from facemill.colors import REGIONS, Lab
from facemill.errors import BadInput

TEMPERATURE = 5.0
"""CIEDE2000 difference that makes a name e times less probable."""

Palette = dict[str, np.ndarray]
"""For each name its typical colours: float (K, 3) in CIELAB."""

COLOR_SCHEMA = pa.schema(
    [("id", pa.string()), ("hair_color", pa.string()), ("probability", pa.float32())]
    + [(region, pa.list_(pa.float32())) for region in REGIONS]
)
"""Rows of a `colors` shard: the hair colour's name, its probability, the median L*a*b* of each region; or nulls."""


def lab_palette(hair_colors: Mapping[str, Sequence[str]]) -> Palette:
    """The config's palette (name: hex colours) in CIELAB. Raises `BadInput` when it or one of its names is empty."""
    if not hair_colors:
        raise BadInput("tags.hair_colors: found no name; accepted: at least one, with its typical colours")
    if empty := [name for name, colors in hair_colors.items() if not colors]:
        raise BadInput(f"tags.hair_colors.{empty[0]}: found no colour; accepted: at least one such as '#a0b1c2'")
    return {name: rgb2lab([rgb(color) for color in colors]) for name, colors in hair_colors.items()}


def rgb(color: str) -> tuple[float, float, float]:
    """A hex colour such as `#a0b1c2` as red, green and blue from 0 to 1."""
    red, green, blue = bytes.fromhex(color[1:])
    return red / 255, green / 255, blue / 255


def probabilities(color: Lab, palette: Palette) -> np.ndarray:
    """How probable each name of the palette is, (names,): a softmax over minus CIEDE2000 / `TEMPERATURE`.

    A name is as far away as the nearest of its typical colours.
    """
    far = np.array([deltaE_ciede2000(color[None], typical).min() for typical in palette.values()])
    weights = np.exp((far.min() - far) / TEMPERATURE)
    return weights / weights.sum()


def name_by_color(color: Lab | None, palette: Palette) -> tuple[str | None, float | None]:
    """The palette's name for the hair's median colour, and its probability; Nones without a colour."""
    if color is None:
        return None, None
    probable = probabilities(color, palette)
    best = int(probable.argmax())
    return list(palette)[best], float(probable[best])


def name_by_tags(tags: Sequence[str], palette: Palette) -> tuple[str | None, float | None]:
    """The one hair colour among a post's tags, with probability 1; Nones when it has none or several."""
    named = [name for name in palette if name in tags]
    return (named[0], 1.0) if len(named) == 1 else (None, None)
