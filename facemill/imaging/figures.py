"""Pictures for people: grids of images with captions, masks in color, and plots in one style."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from facemill.data.classes import IGNORE, ClassTable
from facemill.files import atomic_write

matplotlib.use("Agg")
import matplotlib.pyplot as plt

INK, PAPER = (32, 34, 44), (255, 255, 255)
CAPTION = 15


def colorize(mask: np.ndarray, classes: ClassTable) -> np.ndarray:
    """Class ids, uint8 (H, W), in the classes' display colors: uint8 RGB (H, W, 3)."""
    return np.frombuffer(classes.palette, np.uint8).reshape(256, 3)[mask]


def overlay(image: np.ndarray, mask: np.ndarray, classes: ClassTable, opacity: float = 0.55) -> np.ndarray:
    """The mask's colors over the image, uint8 RGB (H, W, 3); ignored pixels show the image alone."""
    mixed = image * (1 - opacity) + colorize(mask, classes) * opacity
    return np.where((mask == IGNORE)[..., None], image, mixed).astype(np.uint8)


def image_grid(
    rows: Sequence[Sequence[np.ndarray | None]],
    columns: Sequence[str] = (),
    captions: Sequence[str] = (),
    cell: int = 128,
    gap: int = 6,
) -> Image.Image:
    """A grid of uint8 RGB images, each fitted into a cell; `columns` stand above, `captions` left of the rows.

    Enlarged pixels stay square (nearest), shrunk ones are averaged; a None leaves its cell empty.
    """
    font = ImageFont.load_default(CAPTION)
    left = 12 + max((round(font.getlength(c)) for c in captions), default=0) if captions else gap
    top = CAPTION + 14 if columns else gap
    width, height = max(map(len, rows)), len(rows)
    sheet = Image.new("RGB", (left + width * (cell + gap), top + height * (cell + gap)), PAPER)
    draw = ImageDraw.Draw(sheet)
    for x, text in enumerate(columns):
        draw.text((left + x * (cell + gap) + cell / 2, top / 2), text, INK, font, "mm")
    for y, text in enumerate(captions):
        draw.text((left - 8, top + y * (cell + gap) + cell / 2), text, INK, font, "rm")
    for y, row in enumerate(rows):
        for x, pixels in enumerate(row):
            if pixels is not None:
                sheet.paste(Image.fromarray(_fit(pixels, cell)), (left + x * (cell + gap), top + y * (cell + gap)))
    return sheet


def _fit(pixels: np.ndarray, cell: int) -> np.ndarray:
    scale = cell / max(pixels.shape[:2])
    size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST)


def save_picture(picture: Image.Image, path: Path) -> None:
    """Writes a PNG, atomically."""
    with atomic_write(path) as tmp:
        picture.save(tmp, optimize=True)


def save_animation(
    strips: Sequence[Sequence[np.ndarray]],
    path: Path,
    columns: int = 4,
    cell: int = 128,
    titles: Sequence[str] = (),
) -> None:
    """Writes an animated WebP, atomically: strips of uint8 RGB images side by side, played there and back.

    All strips have the same length, and as many titles stand above their images, where there are any; the animation
    loops.
    """
    frames = []
    for index, images in enumerate(zip(*strips, strict=True)):
        rows = [images[i : i + columns] for i in range(0, len(images), columns)]
        frames.append(image_grid(rows, titles[index : index + 1], cell=cell))
    there_and_back = frames + frames[-2:0:-1]
    with atomic_write(path) as tmp:
        there_and_back[0].save(
            tmp, save_all=True, append_images=there_and_back[1:], duration=120, loop=0, quality=85, method=4
        )


@contextmanager
def plot(path: Path, width: float = 9, height: float = 5, **subplots: Any) -> Iterator[tuple[Any, Any]]:
    """Yields matplotlib's `(figure, axes)` in the project's style and writes the PNG when the block succeeds.

    Further arguments go to `plt.subplots`.
    """
    style: dict[Any, Any] = {
        "axes.spines.top": False,
        "axes.spines.right": False,
        "font.size": 11,
        "axes.titlesize": 12,
    }
    with plt.rc_context(style):
        figure, axes = plt.subplots(figsize=(width, height), layout="constrained", **subplots)
        yield figure, axes
        with atomic_write(path) as tmp:
            figure.savefig(tmp, dpi=120, metadata={"Software": None})
        plt.close(figure)
