"""Messages between the page and its server: frames of a JSON header and bytes, checked as if a stranger had sent them.

A frame is the header's length (32 bits, little endian), the header (JSON, UTF-8), and the body.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np
from msgspec import Meta

from facemill.data.classes import IGNORE, ClassTable
from facemill.errors import UserError

MOST_SIDE = 1024
"""Most pixels of a mask's side."""

MOST_HEADER = 1 << 20
"""Most bytes of a header."""

Side = Annotated[int, Meta(ge=1, le=MOST_SIDE)]
Size = tuple[Side, Side]
"""Height and width of a mask, in pixels."""

Number = Annotated[int, Meta(ge=0, le=2**53)]
"""A whole number that JavaScript can hold."""

Color = Annotated[str, Meta(pattern="^#[0-9a-f]{6}$")]
"""Red, green and blue, as HTML writes them."""

T = TypeVar("T")


class Style(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """A style by exactly one of: a seed, the number of a portrait of the collection, or its code."""

    seed: Number | None = None
    portrait: Number | None = None
    z: Annotated[list[Annotated[float, Meta(ge=-100, le=100)]], Meta(max_length=4096)] | None = None

    def __post_init__(self) -> None:
        """Refuses none and several, in words that `msgspec` makes part of its own."""
        if sum(value is not None for value in (self.seed, self.portrait, self.z)) != 1:
            raise ValueError("a style needs one of seed, portrait and z")


class Slider(msgspec.Struct, forbid_unknown_fields=True, rename={"source": "from", "target": "to"}, frozen=True):
    """A step along an attribute vector; its source is None for a boolean, and for what the portrait shows."""

    target: str
    amount: Annotated[float, Meta(ge=-3, le=3)]
    source: str | None = None


class Look(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What determines a portrait besides its mask."""

    styles: Annotated[list[Style], Meta(min_length=1, max_length=2)]
    mix: Annotated[float, Meta(ge=0, le=1)] = 0.0
    """How much of the second style, where there are two."""
    mixed: Annotated[list[str], Meta(max_length=256)] | None = None
    """Classes whose codes are mixed, of a model with styles by region; None: all."""
    truncation: Annotated[float, Meta(ge=-1, le=1.5)] = 1.0
    """1 leaves the style as it is, 0 makes it the average one."""
    colors: Annotated[dict[str, Color], Meta(max_length=256)] = {}
    """By class, of a model with styles by region: its color in place of the style's."""
    sliders: Annotated[dict[str, Slider], Meta(max_length=256)] = {}
    """By exclusive group, or by boolean."""
    size: Size


class State(Look, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What the page sends for a portrait; the body is the mask, a byte for each pixel's class id."""

    n: Number = 0
    """The number of the message, which the answer repeats."""
    moving: bool = False
    """Whether the pen is down or a slider is dragged, so that another state follows at once."""


class PortraitRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Asks for a portrait of the collection, or of `review`, by its number."""

    number: Number


class MaskMessage(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A mask alone; the body is its class ids."""

    size: Size


class LabelRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Asks for a photo's mask, in the body, to be saved as its label."""

    photo: Number
    size: Size


class UnlabelRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Asks for a label that was saved to be taken back."""

    file: Annotated[str, Meta(max_length=255)]


def pack(header: Mapping[str, Any], *parts: bytes) -> bytes:
    """A frame; of several parts the header says the bytes of each, as `parts`."""
    sizes = {"parts": [len(part) for part in parts]} if len(parts) > 1 else {}
    encoded = msgspec.json.encode({**header, **sizes})
    return b"".join((struct.pack("<I", len(encoded)), encoded, *parts))


def unpack(frame: bytes, kind: type[T]) -> tuple[T, bytes]:
    """The header of a frame, and its body.

    Raises:
        UserError: The frame is too short, or its header is not of this kind.
    """
    start = 4 + int.from_bytes(frame[:4], "little")
    if len(frame) < 4 or start > len(frame) or start > MOST_HEADER:
        raise UserError("a message is no frame of a header and a body")
    try:
        return msgspec.json.decode(frame[4:start], type=kind), frame[start:]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"a message cannot be read ({error})") from error


def check_mask(body: bytes, size: Sequence[int], classes: ClassTable) -> np.ndarray:
    """The class ids in a body: uint8 (height, width), read-only.

    Raises:
        UserError: There are more or fewer bytes than pixels, or an id is no class.
    """
    height, width = size
    if len(body) != height * width:
        raise UserError(f"a mask of {height} x {width} pixels has {len(body)} bytes; accepted: {height * width}")
    mask = np.frombuffer(body, np.uint8).reshape(height, width)
    unknown = mask[(mask >= len(classes)) & (mask != IGNORE)]
    if unknown.size:
        raise UserError(f"a mask holds class id {unknown[0]}; accepted: 0 to {len(classes) - 1} and {IGNORE}")
    return mask
