"""Kinds of moving pictures besides films: short previews, which pages and chats play, and folders of images."""

import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from facemill.data.png import XMP_KEYWORD
from facemill.errors import UserError

MAX_BYTES = 1 << 30
"""Of a preview's pixels, all of which Pillow needs at once."""

_DESCRIPTION = 270  # EXIF tag ImageDescription


class Preview:
    """Writes an animated WebP or GIF; the tags are a JSON object in its EXIF description or its comment.

    GIFs count time in hundredths of a second: no error adds up.
    """

    def __init__(self, path: Path, base: Fraction, rate: Fraction, tags: dict[str, str]) -> None:
        self._path, self._base, self._rate, self._tags = path, base, rate, tags
        self._pictures: list[Image.Image] = []
        self._times: list[int] = []

    def add(self, pixels: np.ndarray, pts: int) -> None:
        """Adds a frame, uint8 RGB (H, W, 3). Raises `UserError` beyond `MAX_BYTES`."""
        if pixels.nbytes * (len(self._pictures) + 1) > MAX_BYTES:
            raise UserError(f"{len(self._pictures)} frames fill a preview; accepted: .mp4 for longer films")
        self._pictures.append(Image.fromarray(pixels))
        self._times.append(pts)

    def finish(self) -> None:
        """Writes all frames: the last one lasts as long as the rate says."""
        unit = 10 if self._path.suffix.lower() == ".gif" else 1
        ticks = self._base * 1000 / unit
        marks = [round((time - self._times[0]) * ticks) for time in self._times]
        marks.append(marks[-1] + round(1000 / unit / self._rate))
        durations = [max(end - start, 1) * unit for start, end in pairwise(marks)]
        first, *others = self._pictures
        tags = json.dumps(self._tags) if self._tags else ""
        if unit == 10:
            first.save(
                self._path, save_all=True, append_images=others, duration=durations, loop=0, comment=tags.encode()
            )
            return
        exif = Image.Exif()
        exif[_DESCRIPTION] = tags
        known: dict[str, Any] = {"exif": exif.tobytes(), "xmp": self._tags.get("xmp", "").encode()}
        first.save(self._path, save_all=True, append_images=others, duration=durations, loop=0, quality=85, **known)

    def close(self) -> None:
        """Gives back the frames' memory."""
        self._pictures.clear()


class ImageFolder:
    """Writes each frame as a PNG, `000000.png` and on, with the tags as texts."""

    def __init__(self, folder: Path, tags: dict[str, str]) -> None:
        self._folder, self._number, self._texts = folder, 0, PngImagePlugin.PngInfo()
        for name, value in tags.items():
            self._texts.add_itxt({"xmp": XMP_KEYWORD}.get(name, name), value)

    def add(self, pixels: np.ndarray, pts: int) -> None:
        """Writes a frame, uint8 RGB (H, W, 3); its time is not stored."""
        Image.fromarray(pixels).save(self._folder / f"{self._number:06}.png", pnginfo=self._texts)
        self._number += 1

    def finish(self) -> None:
        """Does nothing: every frame is written."""

    def close(self) -> None:
        """Does nothing: no file is open."""


def picture_tags(path: Path) -> dict[str, str]:
    """The tags that `Preview` or `ImageFolder` wrote into a picture; empty where there are none.

    Raises:
        OSError: Pillow cannot read the picture.
    """
    with Image.open(path) as picture:
        if picture.format == "PNG":
            picture.load()
            texts = getattr(picture, "text", {}).items()
            return {"xmp" if name == XMP_KEYWORD else name: str(value) for name, value in texts}
        return tags_in(picture.info.get("comment") or picture.getexif().get(_DESCRIPTION) or "")


def tags_in(text: str | bytes) -> dict[str, str]:
    """The JSON object in a text, as previews have their tags; empty for other texts."""
    try:
        tags = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return {name: str(value) for name, value in tags.items()} if isinstance(tags, dict) else {}
