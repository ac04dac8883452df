"""The one class table: which id, name and display color every mask in the project uses."""

from typing import Literal, get_args

ClassName = Literal["background", "skin", "face", "eye", "mouth", "hair", "clothes"]

CLASSES: tuple[str, ...] = get_args(ClassName)
"""Class names by id: `CLASSES[5] == "hair"`."""

BACKGROUND, SKIN, FACE, EYE, MOUTH, HAIR, CLOTHES = range(len(CLASSES))

IGNORE = 255
"""The id of pixels that nobody labelled; losses and metrics leave them out."""

COLORS: tuple[tuple[int, int, int], ...] = (
    (38, 40, 52),  # background
    (236, 168, 128),  # skin
    (252, 214, 184),  # face
    (64, 132, 214),  # eye
    (206, 56, 84),  # mouth
    (124, 86, 178),  # hair
    (84, 166, 122),  # clothes
)
"""Display colors (sRGB) by id; `IGNORE` is shown white."""


def palette() -> list[int]:
    """The 256 x 3 palette of mask files, flat as Pillow wants it; ids that no class has are white."""
    flat = [channel for color in COLORS for channel in color]
    return flat + [255] * (768 - len(flat))
