"""Saved edits: the portrait, its mask and a JSON; the portrait's PNG alone brings the edit back.

The PNG holds the JSON in a chunk iTXt of the keyword `facemill`, uncompressed, with the mask's ids deflated in it.
https://www.w3.org/TR/png-3/#11iTXt
"""

import base64
import io
import struct
import time
import zlib
from itertools import count
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import torch
from msgspec import Meta
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from facemill.data.classes import ClassTable
from facemill.data.shards import encode_mask
from facemill.errors import UserError
from facemill.files import atomic_write, write_json
from facemill.studio.messages import Look, State, Style, check_mask
from facemill.studio.painting import Studio

KEYWORD = b"facemill"
SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_TEXT = 1 << 22
"""Most bytes of the chunk that is read back."""


class Saved(msgspec.Struct):
    """What is read back of a saved edit; all else in its JSON is for people."""

    state: Look
    classes: Annotated[list[str], Meta(max_length=256)]
    mask: Annotated[str, Meta(max_length=MOST_TEXT)]


def save(studio: Studio, state: State, mask: np.ndarray, out: Path) -> tuple[list[Path], bytes]:
    """Writes the portrait of a state as `*.png`, its mask as `*.mask.png`, and all about it as `*.json`.

    The portrait is painted by `Painter.generate`, so that it equals that of `generate_portraits` with the mask.

    Args:
        studio: the models.
        state: style and sliders.
        mask: class ids, uint8 (H, W); it is saved at its own size.
        out: the folder; it is made where it is missing.

    Returns:
        The three files, and the bytes of the first.

    Raises:
        UserError: The state names what is not there, or the model returns no picture; nothing is written.
    """
    fitted = studio.fit(mask)
    z, seen = studio.code(state, fitted)
    studio.painter.paint(fitted, z)  # raises `NoPicture`; as bytes, which `generate` returns, NaN would pass
    pixels = studio.painter.generate(torch.from_numpy(fitted.copy())[None], torch.from_numpy(z)[None])[0]
    about = _about(studio, state, z, mask) | {"seen": seen}
    encoded = _encode_png(pixels, about)
    stem = _reserve(out)
    try:
        paths = [out / f"{stem}{suffix}" for suffix in (".png", ".mask.png", ".json")]
        for path, content in zip(paths, (encoded, encode_mask(mask, studio.classes)), strict=False):
            with atomic_write(path) as tmp:
                tmp.write_bytes(content)
        write_json(paths[2], about)
    except BaseException:
        for path in paths:
            path.unlink(missing_ok=True)
        raise
    return paths, encoded


def _about(studio: Studio, state: State, z: np.ndarray, mask: np.ndarray) -> dict[str, Any]:
    """The JSON of an edit: `state` with its portraits' styles as numbers, since a collection may change."""
    generator = studio.painter.generator
    styles = [style if style.portrait is None else Style(z=studio.portrait(style.portrait).z) for style in state.styles]
    fields = {name: getattr(state, name) for name in Look.__struct_fields__}
    look = Look(**fields | {"styles": styles})
    return {
        "facemill": studio.hello()["version"],
        "model": str(studio.paths.model),
        "sha256": studio.digests,
        "size": [generator.height, generator.width],
        "z": z.tolist(),
        "state": msgspec.to_builtins(look),
        "classes": list(studio.classes.names),
        "mask": base64.b64encode(zlib.compress(mask.tobytes())).decode(),
    }


def _encode_png(pixels: np.ndarray, about: dict[str, Any]) -> bytes:
    info, buffer = PngInfo(), io.BytesIO()
    info.add_itxt(KEYWORD.decode(), msgspec.json.encode(about).decode())
    Image.fromarray(pixels).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def _reserve(out: Path) -> str:
    """A new name by the clock; its JSON is made at once, so that no other process takes it."""
    out.mkdir(parents=True, exist_ok=True)
    now = time.strftime("%Y%m%d-%H%M%S")
    for number in count(1):
        stem = f"{now}-{number}"
        try:
            (out / f"{stem}.json").open("x").close()
        except FileExistsError:
            continue
        return stem
    raise AssertionError


def open_saved(png: bytes, classes: ClassTable) -> tuple[Look, np.ndarray]:
    """The look and the mask, uint8 (H, W), in a PNG that `save` wrote; no pixel of it is decoded.

    Raises:
        UserError: The bytes are no such PNG, or its mask is of other classes.
    """
    try:
        saved = msgspec.json.decode(_text(png), type=Saved)
        size = saved.state.size[0] * saved.state.size[1]
        mask = zlib.decompressobj().decompress(base64.b64decode(saved.mask, validate=True), size + 1)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError, zlib.error) as error:
        raise UserError(f"a saved portrait cannot be read ({error})") from error
    if (names := tuple(saved.classes)) != classes.names:
        raise UserError(f"a saved portrait has the classes {', '.join(names)}; accepted: {', '.join(classes.names)}")
    return saved.state, check_mask(mask, saved.state.size, classes)


def _text(png: bytes) -> bytes:
    """The text of the chunk; raises `UserError` when there is none."""
    start = len(SIGNATURE)
    head = KEYWORD + b"\0\0\0"  # neither compressed nor of any compression method
    while png.startswith(SIGNATURE) and len(png) >= start + 12:
        length, kind = struct.unpack(">I4s", png[start : start + 8])
        content = memoryview(png)[start + 8 : start + 8 + length]
        if kind == b"iTXt" and bytes(content[: len(head)]) == head and length <= MOST_TEXT:
            return bytes(content[len(head) :]).split(b"\0", 2)[-1]  # after a language and a translated keyword
        start += 12 + length
    raise UserError("no portrait that the studio saved; accepted: the PNG of `Save` or `Download`")
